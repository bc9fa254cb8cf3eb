# A small image of the gateway: not root, nothing to write but /data.
#   docker build -t voicegw .
#   docker run --read-only --tmpfs /tmp -v voicegw:/data -p 8080:8080 -e VOICEGW_DOOR__SECRET=… -e OPENAI_API_KEY=… voicegw
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY voicegw voicegw
RUN python -m venv /opt/voicegw \
 && /opt/voicegw/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[postgres,otel]"

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home voicegw && install -d -o voicegw /data
COPY --from=build /opt/voicegw /opt/voicegw
ENV PATH=/opt/voicegw/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    VOICEGW_SERVER__HOST=0.0.0.0 VOICEGW_STORE__DATA_DIR=/data VOICEGW_LOG__FORMAT=json
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
# SIGTERM lets calls in progress finish: give it time (docker stop -t 300).
STOPSIGNAL SIGTERM
ENTRYPOINT ["voicegw"]
CMD ["serve"]
