"""The steps of a Dockerfile, one by one, in clean roots, for machines where no engine builds images.

As root on Debian: a base system is made by debootstrap with Python 3.11 and stands in for the image of that name; each
stage begins with a copy of it, and each RUN line runs in there by chroot, in a mount namespace of its own. The
machine's own configuration of apt, pip and certificates is used, since it says where packages come from.

    python -m tests.support.image_steps --work FOLDER --mount /folder/of/wheels --arg TORCH=cuda
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

REPOSITORY = Path(__file__).parents[2]
TAKEN_OVER = ("/etc/apt", "/etc/pip.conf", "/etc/resolv.conf", "/etc/ssl/certs", "/usr/local/share/ca-certificates")
PASSED_ON = re.compile(r"^(PIP_|SSL_CERT|REQUESTS_CA|CURL_CA|UV_|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY)")


@dataclass
class Root:
    """A stage as far as it is built.

    Attributes:
        folder: Its root.
        environment: Of its ENV lines.
        arguments: Of its ARG lines.
        working: Its WORKDIR.
        user: Its USER.
        command: Its CMD.
    """

    folder: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    arguments: dict[str, str] = field(default_factory=dict)
    working: str = "/"
    user: str = "root"
    command: list[str] = field(default_factory=list)

    def run(self, command: list[str], *, mounts: tuple[Path, ...] = (), network: bool = True) -> str:
        """What a command in it printed; it must end well.

        Args:
            command: It.
            mounts: Folders of the machine, read there under the same path.
            network: Whether it may reach any.
        """
        binds = ["mount -t proc proc proc", "mount --rbind /dev dev"]
        for mount in mounts:
            inside = self.folder / mount.relative_to("/")
            inside.mkdir(parents=True, exist_ok=True)
            binds.append(f"mount --bind {shlex.quote(str(mount))} {shlex.quote(str(inside))}")
        enter = f'exec chroot --userspec={self.user} . env -i -C {shlex.quote(self.working)} "$@"'
        variables = {
            **self.environment,
            **self.arguments,
            "HOME": "/root" if self.user == "root" else f"/home/{self.user}",
        }
        if network:
            variables |= {name: value for name, value in os.environ.items() if PASSED_ON.match(name)}
        script = " && ".join([f"cd {shlex.quote(str(self.folder))}", *binds, enter])
        isolated = ["unshare", "--mount", *([] if network else ["--net"]), "sh", "-c", script, "sh"]
        given = [f"{name}={value}" for name, value in variables.items()]
        ended = subprocess.run([*isolated, *given, *command], capture_output=True, text=True, check=False)
        if ended.returncode:
            message = (
                f"{shlex.join(command)} ended with {ended.returncode}:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
            )
            raise AssertionError(message)
        return ended.stdout


def steps_of(dockerfile: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions and what follows them, continued lines in one."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def base_system(folder: Path) -> Path:
    """A clean Debian with Python 3.11; made where it is not there yet."""
    if not (folder / "usr/bin/python").exists():
        included = "--include=python3,python3-venv,ca-certificates"
        made = ["debootstrap", "--variant=minbase", included, "bookworm", str(folder)]
        subprocess.run(["unshare", "--mount", *made], check=True)  # what it mounts in there goes with it
        (folder / "usr/bin/python").symlink_to("python3")
    return folder


def build(dockerfile: Path, *, work: Path, arguments: dict[str, str], mounts: tuple[Path, ...]) -> Root:
    """Run all steps; the last stage.

    Args:
        dockerfile: The file; its context is the repository.
        work: Where base system and stages go.
        arguments: In place of the defaults of ARG lines.
        mounts: Folders that RUN lines may read, such as one of wheels.
    """
    stages: dict[str, Root] = {}
    base = base_system(work / "base")
    root = Root(base)
    for step, rest in steps_of(dockerfile):
        start = time.monotonic()
        if step == "FROM":
            image, _, name = rest.partition(" AS ")
            assert image == "python:3.11-slim", f"{base} does not stand in for {image}"
            root = Root(_copy_of(base, work / f"stage-{name or 'last'}"))
            stages[name or "last"] = root
        elif step == "ARG":
            name, _, default = rest.partition("=")
            root.arguments[name] = arguments.get(name, shlex.split(default)[0] if default else "")
        elif step == "ENV":
            for assignment in shlex.split(rest):
                name, _, value = assignment.partition("=")
                root.environment[name] = Template(value).safe_substitute(root.environment)
        elif step == "WORKDIR":
            root.working = rest
            (root.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step == "USER":
            root.user = rest
        elif step == "COPY":
            _copy(rest, root, stages)
        elif step == "RUN":
            root.run(["sh", "-c", rest], mounts=mounts)
        elif step == "CMD":
            root.command = re.findall(r'"([^"]*)"', rest)
        else:
            assert step == "VOLUME", f"{step} is not known here"
        print(f"{time.monotonic() - start:6.1f} s  {step} {rest[:90]}", flush=True)  # noqa: T201 (a program's output)
    return root


def _copy_of(base: Path, folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    subprocess.run(["cp", "-a", base, folder], check=True)
    for name in TAKEN_OVER:
        if Path(name).exists():
            place = folder / name.lstrip("/")
            if place.is_dir():
                shutil.rmtree(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            subprocess.run(["cp", "-aL", name, place], check=True)
    return folder


def _copy(rest: str, root: Root, stages: dict[str, Root]) -> None:
    words = shlex.split(rest)
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    *sources, target = [word for word in words if not word.startswith("--")]
    place = root.folder / (target if target.startswith("/") else f"{root.working}/{target}").lstrip("/")
    (place if len(sources) > 1 or target.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
    for source in sources:
        found = stages[flags["from"]].folder / source.lstrip("/") if "from" in flags else REPOSITORY / source
        subprocess.run(["cp", "-a", "--no-target-directory" if found.is_dir() else "--", found, place], check=True)
    inside = place.relative_to(root.folder)
    owner = flags.get("chown", "root:root")
    root.run(["chown", "--recursive", owner, f"/{inside}"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the steps of deployments/Dockerfile in clean roots.")
    parser.add_argument("--work", type=Path, required=True, help="folder for the roots, some 8 GB")
    parser.add_argument("--mount", type=Path, action="append", default=[], help="a folder that RUN lines may read")
    parser.add_argument("--arg", action="append", default=[], help="NAME=VALUE, as docker build has it")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    arguments = dict(argument.split("=", 1) for argument in given.arg)
    root = build(
        REPOSITORY / "deployments" / "Dockerfile", work=given.work, arguments=arguments, mounts=tuple(given.mount)
    )
    print(root.run(["id"]), root.run(root.command, network=False), sep="")  # noqa: T201


if __name__ == "__main__":
    main()
