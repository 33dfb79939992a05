"""Images made in memory are well-formed and have digests of their own."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace

from tests.lab.builder import DOCKER_LIST, Health, Spec, attestation, image, index, layer

BASE = layer({"app/run": "#!/bin/sh\n", "bin/sh": "->busybox"}, {"app/run": 0o755})
SPEC = Spec(layers=(BASE,), labels={"org.opencontainers.image.version": "1.0.0"}, health=Health("true", interval=1.5))


def test_a_layer_holds_its_files_and_names_its_tar() -> None:
    tar = gzip.decompress(BASE.blob.body)
    assert BASE.diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == ["app", "app/run", "bin", "bin/sh"]
        assert archive.getmember("app/run").mode == 0o755
        assert archive.getmember("bin/sh").linkname == "busybox"


def test_equal_specs_have_equal_digests_and_other_labels_others() -> None:
    assert image(SPEC).manifest.digest == image(replace(SPEC)).manifest.digest
    other = replace(SPEC, labels={"org.opencontainers.image.version": "1.0.1"})
    assert image(other).manifest.digest != image(SPEC).manifest.digest


def test_the_config_says_what_the_spec_says() -> None:
    config = json.loads(image(replace(SPEC, arch="arm/v7", ports=(80,), volumes=("/data",))).config.body)
    assert (config["architecture"], config["variant"], config["os"]) == ("arm", "v7", "linux")
    assert config["config"]["Healthcheck"]["Interval"] == 1_500_000_000
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}}
    assert config["config"]["Volumes"] == {"/data": {}}
    assert config["rootfs"]["diff_ids"] == [BASE.diff_id]


def test_an_index_lists_platforms_and_attestations() -> None:
    amd64, arm64 = image(SPEC).manifest, image(replace(SPEC, arch="arm64")).manifest
    plain = json.loads(index([amd64, arm64], media_type=DOCKER_LIST).body)
    assert [child["platform"]["architecture"] for child in plain["manifests"]] == ["amd64", "arm64"]
    full = json.loads(index([amd64], attestations=True).body)
    extra = full["manifests"][1]
    assert extra["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert extra["annotations"]["vnd.docker.reference.digest"] == amd64.digest
    assert extra["digest"] == attestation(amd64).manifest.digest
