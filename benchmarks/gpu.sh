#!/bin/sh
# What Nightrank does on a CUDA card, in 8 minutes: see benchmarks/gpu.py.
#   benchmarks/gpu.sh pack FOLDER [--light]                where there is a network: wheels and a tokenizer
#   benchmarks/gpu.sh run [--pack FOLDER] [--work FOLDER]  where the card is; claims lie in WORK/claims afterwards
# It is run in place, in a copy of this repository; PYTHON names another interpreter than python3.
set -eu
PYTHONPATH=$(cd "$(dirname "$0")/.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python3}
action=${1:-nothing}
[ $# -eq 0 ] || shift
case $action in
pack)
    export PYTHONPATH
    exec "$python" -m benchmarks.gpu_pack "$@"
    ;;
run)
    pack=
    previous=
    for argument in "$@"; do
        case $previous in --pack) pack=$argument ;; esac
        case $argument in --pack=*) pack=${argument#--pack=} ;; esac
        previous=$argument
    done
    if [ -n "$pack" ]; then
        site=$(mktemp -d)
        trap 'rm -rf "$site"' EXIT
        "$python" -m pip install -q --disable-pip-version-check --no-index --no-deps --no-compile --target "$site" \
            "$pack"/wheels/*.whl
        PYTHONPATH=$PYTHONPATH:$site
    fi
    export PYTHONPATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
    "$python" -m benchmarks.gpu "$@"
    ;;
*)
    echo "pack or run, not $action" >&2
    exit 2
    ;;
esac
