# The LLM worker. From the root of the repository: docker build -f ops/deploy/docker/llm.Dockerfile .

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/earshot
WORKDIR /src
# Dependencies have a layer of their own, which does not change with the source.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN /opt/earshot/bin/pip install -c constraints.txt '.[llm]'
COPY common common
COPY producer producer
COPY workers workers
COPY ops ops
RUN /opt/earshot/bin/pip install --no-deps --force-reinstall .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home earshot
COPY --from=build /opt/earshot /opt/earshot
ENV PATH=/opt/earshot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER earshot
WORKDIR /home/earshot
ENTRYPOINT ["earshot"]
CMD ["llm"]
