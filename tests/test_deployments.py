"""What deployments/ says and what the code takes are the same."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.flows import Flow
from prefect.utilities.templating import apply_values, find_placeholders

FOLDER = Path(__file__).parent.parent / "deployments"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "prefect.yaml").read_text())["deployments"]
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: str(one["name"]))
def test_a_deployment_names_a_flow_and_parameters_that_it_takes(deployment: dict[str, Any]) -> None:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    flow = getattr(import_module(module), name)

    assert isinstance(flow, Flow)
    flow.validate_parameters(deployment["parameters"])
    for schedule in deployment["schedules"]:
        CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert "nightrank" in deployment["tags"]


def test_each_pool_gets_all_deployments() -> None:
    pools = {one["work_pool"]["name"] for one in DEPLOYMENTS}
    by_pool = {pool: {one["entrypoint"] for one in DEPLOYMENTS if one["work_pool"]["name"] == pool} for pool in pools}

    assert pools == {"nightrank", "nightrank-docker", "nightrank-kubernetes"}
    assert len({frozenset(entrypoints) for entrypoints in by_pool.values()}) == 1


def test_a_kubernetes_job_gets_what_a_deployment_says() -> None:
    template = json.loads((FOLDER / "kubernetes-job.json").read_text())
    variables = template["variables"]["properties"]
    used = {placeholder.name for placeholder in find_placeholders(template["job_configuration"])}
    assert used == set(variables)
    defaults = {name: value["default"] for name, value in variables.items() if "default" in value}
    [training] = [one for one in DEPLOYMENTS if one["name"] == "kubernetes-train-embedder"]
    said = training["work_pool"]["job_variables"]
    assert said.keys() <= variables.keys()

    job = apply_values(template["job_configuration"], {**defaults, **said})["job_manifest"]

    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "nightrank:cuda"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert container["resources"]["requests"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": 1}
    assert pod["volumes"][0] == {"name": "workspace", "persistentVolumeClaim": {"claimName": "nightrank"}}
    assert pod["securityContext"]["runAsNonRoot"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400


def test_automations_are_what_prefect_takes() -> None:
    files = [yaml.safe_load((FOLDER / name).read_text()) for name in ("automations.yaml", "on_change.yaml")]

    names = [AutomationCore.model_validate(one).name for file in files for one in file["automations"]]

    assert names == ["Nightrank is late", "Nightrank has had no good night", "Nightrank after changes"]


def test_services_of_the_compose_file_wait_for_services_that_are_there() -> None:
    services = COMPOSE["services"]

    assert {"database", "server", "worker", "storage"} <= services.keys()
    for service in services.values():
        for other, waits in service.get("depends_on", {}).items():
            assert waits["condition"] in {"service_healthy", "service_completed_successfully"}
            if waits["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
        for volume in service.get("volumes", ()):
            source = re.split(r":(?=/)", volume)[0]
            assert source in COMPOSE["volumes"] or source.startswith("${") or (FOLDER / source).exists()


def test_the_image_copies_what_is_there_and_runs_without_being_root() -> None:
    steps = dockerfile_steps()
    ignored = (FOLDER.parent / ".dockerignore").read_text().splitlines()

    copied = [source for step, rest in steps if step == "COPY" and "--from" not in rest for source in rest.split()[:-1]]
    assert copied
    for source in copied:
        assert (FOLDER.parent / source).exists()
        assert f"!{source}" in ignored
    last_stage = steps[max(number for number, (step, _) in enumerate(steps) if step == "FROM") :]
    assert [rest for step, rest in last_stage if step == "USER"] == ["nightrank"]
    assert "HF_HUB_OFFLINE=1" in " ".join(rest for step, rest in last_stage if step == "ENV")


def dockerfile_steps() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what follows them, continued lines in one."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]
