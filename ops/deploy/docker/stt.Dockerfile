# The STT worker. From the root of the repository: docker build -f ops/deploy/docker/stt.Dockerfile .
# For a GPU: docker build -f ops/deploy/docker/stt.Dockerfile --build-arg EXTRAS=stt,cuda .

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/earshot
WORKDIR /src
# Dependencies have a layer of their own, which does not change with the source.
COPY pyproject.toml constraints.txt README.md LICENSE ./
ARG EXTRAS=stt
RUN /opt/earshot/bin/pip install -c constraints.txt ".[${EXTRAS}]"
COPY common common
COPY producer producer
COPY workers workers
COPY ops ops
RUN /opt/earshot/bin/pip install --no-deps --force-reinstall .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home earshot \
    && install -d -o earshot -g earshot /models
COPY --from=build /opt/earshot /opt/earshot
ENV PATH=/opt/earshot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# the extra `cuda` puts libraries there, which CTranslate2 loads by name
ARG NVIDIA=/opt/earshot/lib/python3.11/site-packages/nvidia
ENV LD_LIBRARY_PATH=$NVIDIA/cublas/lib:$NVIDIA/cudnn/lib
USER earshot
WORKDIR /home/earshot
ENTRYPOINT ["earshot"]
CMD ["stt"]
