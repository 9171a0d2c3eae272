# ARGS are options for the command: make demo ARGS=--json, make test ARGS="-k segmenter"

.DEFAULT_GOAL := help
.PHONY: help demo setup test test-full test-lowest test-real test-vllm lint types clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Play a recording through the whole pipeline, and stop
	@ops/setup.sh demo
	@.venv/bin/earshot demo $(ARGS)

setup: ## Prepare .venv for working on earshot (the other targets do it by themselves)
	@ops/setup.sh dev

# Tests mostly wait for processes and for speech, so three at once keep two cores busy.
test: setup ## Run the tests, without the long runs
	.venv/bin/python -m pytest -m "not full" -n 3 --dist worksteal $(ARGS)

test-full: setup ## Run all tests: chaos, Sentinel, Cluster, all seeds of the model test; show coverage
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest $(ARGS); status=$$?; \
	  .venv/bin/coverage combine --quiet; .venv/bin/coverage report; exit $$status

test-lowest: setup ## Test the parts that face the network with the lowest versions that are allowed
	nice tests/support/lowest.sh $(ARGS)

# Many utterances, one at a time: it takes minutes.
test-real: setup ## Run tests/real with Whisper base (fetches 145 MB, once); CLIPS=FOLDER of recordings
	.venv/bin/python -m tests.real.weights
	nice .venv/bin/python -m pytest tests/real --real --clips "$(CLIPS)" -rs --timeout 3600 $(ARGS)

test-vllm: setup ## Run the LLM worker's contract tests with a real vLLM on the CPU (installs 2.5 GB, once)
	tests/contract/vllm_setup.sh
	nice .venv/bin/python -m pytest tests/contract --llm-server vllm $(ARGS)

lint: setup ## Check style and format
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/oxlint --config tests/browser/oxlint.json --deny-warnings ops/dashboard/static

types: setup ## Check types
	.venv/bin/mypy

clean: ## Remove everything that the other targets have made
	rm -rf .venv .venv-lowest .venv-vllm .models build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
