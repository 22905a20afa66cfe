"""Commands of kubectl, in scenes that begin in an empty namespace: what they print is the same on both engines.

A line is typed as in a shell: ``< FILE ...`` gives manifests as its input, ``VARIABLE=VALUE`` before it is set for it
alone. ``& TEXT, TEXT`` leaves it running once it has printed the first text, and ends it with the scene, when it has
printed the second.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

_SPLIT = "02-canary-by-weight/virtual-service-web"
_SUBSETS = "02-canary-by-weight/destination-rule-web-versions.yaml"
_READY = (
    f"apply -f - < apps/web apps/client {_SUBSETS} {_SPLIT}-50-50.yaml",
    "wait --for=condition=Available deploy --all --timeout=120s",
    "wait --for=condition=Ready pods --all --timeout=120s",
)
_CONTAINER = '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"COLOUR","value":"red"}]}]}}}}'
_WEIGHTS = (
    '[{"op":"test","path":"/spec/http/0/route/0/weight","value":50},'
    '{"op":"replace","path":"/spec/http/0/route/0/weight","value":60},'
    '{"op":"replace","path":"/spec/http/0/route/1/weight","value":40}]'
)

# Refused in this workshop's words, which say more, or say it in English; the exit status is that of a cluster.
OWN_WORDS = (
    "get pods -l =",
    "create cm Settings",
    'patch deploy client -p \'{"spec":{"replicas":"x"}}\'',
    'patch vs web --type=merge -p \'{"spec":{"http":[{"rout":[]}]}}\'',
    'patch vs web --type=merge -p \'{"spec":{"http":[{"route":[{"destination":{"host":1}}]}]}}\'',
    'patch vs web --type=merge -p \'{"spec":{"http":[{"route":[]}]}}\'',
    'patch vs web --type=merge -p \'{"spec":{"http":[{"route":[{"destination":{"host":""}}]}]}}\'',
    'patch dr web --type=merge -p \'{"spec":{"subsets":[{"labels":{"a":"b"}}]}}\'',
    'patch svc client --type=merge -p \'{"spec":{"ports":[]}}\'',
    'patch svc client --type=json -p \'[{"op":"remove","path":"/spec/nix"}]\'',
)

SCENES: dict[str, tuple[str, ...]] = {
    "read": (
        *_READY,
        "get pods",
        "get pods -o wide",
        "get pods -l version=risk --no-headers",
        "get pods -l 'app in (web),version!=risk' -o name",
        "get pods --show-labels -l app=web",
        "get pods -L version,app",
        "get pods --field-selector=status.phase=Pending",
        'get pods -o jsonpath=\'{range .items[*]}{.metadata.labels.app}{" "}{.status.phase}{"\\n"}{end}\'',
        "get pods -l app=client -o jsonpath='{.items[0].spec.containers[*].name} {.items[0].status.qosClass}'",
        "get pods -o custom-columns=NAME:.metadata.name,READY:.status.containerStatuses[*].ready",
        "get deploy",
        "get deploy -o wide",
        "get deploy web-safe -o yaml",
        "get deploy web-safe -o jsonpath={.status.readyReplicas}",
        "get deploy web-safe -o go-template={{.spec.strategy.type}}",
        "get deploy --sort-by=.metadata.name -o name",
        "get deploy -o custom-columns=NAME:.metadata.name,R:.spec.replicas,NONE:.spec.nix",
        "get rs",
        "get rs -l version=safe -o wide",
        "get svc",
        "get svc -o wide",
        "get svc web -o yaml",
        "get svc client -o json",
        "get endpointslices -l kubernetes.io/service-name=web",
        "get all",
        "get vs",
        "get vs -o wide",
        "get vs web -o yaml",
        "get vs web -o jsonpath='{.spec.http[0].route[*].weight}'",
        "get virtualservices.v1beta1.networking.istio.io web -o jsonpath={.apiVersion}",
        "get dr",
        "get dr web -o json",
        "get istio-io -o name",
        "get deploy,svc,vs,dr -o name",
        "get -f - < apps/web",
        "get cm nix --ignore-not-found",
        "get sa default -o name",
        "get ns {namespace} -o jsonpath={.status.phase}",
        "describe deploy web-safe",
        "describe svc web",
        "describe svc client",
        "describe vs web",
        "describe dr web",
        "describe rs -l version=safe",
        "rollout status deploy/web-safe",
        "rollout history deploy/web-safe",
        "auth can-i create vs",
        "logs deploy/client -c istio-proxy --tail=0",
        "wait --for=jsonpath={.status.readyReplicas}=2 deploy/web-safe",
        f"KUBECTL_EXTERNAL_DIFF='sed -n /weight/p' diff -f - < {_SPLIT}-50-50.yaml",
        f"KUBECTL_EXTERNAL_DIFF='sed -n /weight/p' diff -f - < {_SPLIT}-70-30.yaml",
    ),
    "manifests of the course": tuple(
        f"apply --dry-run=server -f - < {folder}"
        for folder in (
            "apps/bookinfo",
            "apps/client",
            "apps/client-plain",
            "apps/echo",
            "apps/web",
            "00-start-here",
            "01-canary-by-replicas",
            "02-canary-by-weight",
            "02-canary-by-weight/bookinfo",
            "02-canary-by-weight/web",
        )
    ),
    "explain": (
        "explain vs.spec.hosts",
        "explain vs.spec.http.route.weight",
        "explain dr.spec.trafficPolicy.loadBalancer.simple",
        "explain deploy.spec.replicas",
        "explain deploy.spec.template.spec.containers.ports.containerPort",
        "explain svc.spec.ports.targetPort",
        "explain vs.spec.nix",
        "explain nix",
    ),
    "change": (
        *_READY,
        f"apply -f - < apps/web apps/client {_SUBSETS} {_SPLIT}-50-50.yaml",
        f"apply -f - < {_SPLIT}-70-30.yaml",
        f"apply --dry-run=server -f - < {_SPLIT}-50-50.yaml",
        f"apply --dry-run=client -f - < {_SPLIT}-50-50.yaml",
        f"apply -f - -o yaml < {_SPLIT}-50-50.yaml",
        "label svc web team=a",
        "label svc web team=b",
        "label svc web team=b --overwrite",
        "label svc web team-",
        "annotate vs web note=x",
        "get vs web -o jsonpath={.metadata.annotations.note}",
        "KUBE_EDITOR='sed -i s/host:.web$/host:.web.{namespace}.svc.cluster.local/' edit vs web",
        "get vs web -o jsonpath={.spec.http[0].route[*].destination.host}",
        "KUBE_EDITOR=true edit vs web",
        f"patch vs web --type=json -p '{_WEIGHTS}'",
        'patch vs web --type=merge -p \'{"spec":{"exportTo":["."]}}\'',
        'patch svc web --type=merge -p \'{"metadata":{"labels":{"app":"web"}}}\'',
        "patch vs web -p '{}'",
        "get vs web -o jsonpath='{.spec.exportTo} {.metadata.generation}'",
        f"patch deploy web-safe -p '{_CONTAINER}'",
        "rollout status deploy/web-safe --timeout=120s",
        "get deploy web-safe -o jsonpath='{.spec.template.spec.containers[0].env[*].name} {.metadata.generation}'",
        "rollout history deploy/web-safe",
        "rollout undo deploy/web-safe",
        "rollout status deploy/web-safe --timeout=120s",
        "rollout history deploy/web-safe",
        "rollout restart deploy/web-risk",
        "rollout status deploy/web-risk --timeout=120s",
        "set env deploy/web-risk COLOUR=red",
        "rollout status deploy/web-risk --timeout=120s",
        "set env deploy/web-risk --list",
        "set env deploy/web-risk COLOUR-",
        "scale deploy/web-safe --replicas=3",
        "wait --for=jsonpath={.status.readyReplicas}=3 deploy/web-safe --timeout=120s",
        "scale deploy/web-safe --replicas=2 --current-replicas=7",
        "scale deploy/web-safe --replicas=0",
        "wait --for=delete pods -l version=safe --timeout=120s",
        "get deploy web-safe",
        "replace -f - < {split}-70-30.yaml".replace("{split}", _SPLIT),
        "get vs web -o jsonpath='{.spec.http[0].route[*].weight}'",
        f"apply --server-side -f - < {_SPLIT}-50-50.yaml",
        f"apply --server-side --force-conflicts -f - < {_SPLIT}-50-50.yaml",
    ),
    "create and delete": (
        "create cm settings --from-literal=a=b",
        "get cm settings -o yaml",
        "describe cm settings",
        "create secret generic key --from-literal=a=b",
        "get secret key -o yaml",
        "describe secret key",
        "create sa bot",
        "get sa bot",
        "create deployment hello --image={image} --replicas=0 --port=5000",
        "get deploy hello -o wide",
        "expose deploy hello --port=81 --target-port=5000",
        "get svc hello -o wide",
        "create svc clusterip other --tcp=80:5000",
        "describe svc other",
        f"create -f - < {_SPLIT}-50-50.yaml",
        f"create -f - < {_SPLIT}-50-50.yaml",
        "delete vs web --dry-run=server",
        "delete vs web",
        "delete vs web",
        "delete vs web --ignore-not-found",
        "delete cm,secret,sa settings key bot --ignore-not-found",
        "delete svc hello other",
        "delete deploy -l app=hello --wait=true --timeout=60s",
        "delete dr --all",
        "get deploy,svc,vs,dr",
    ),
    "watch": (
        f"apply -f - < {_SPLIT}-50-50.yaml",
        "get vs -w --output-watch-events & ADDED, DELETED",
        "label vs web team=a",
        "delete vs web",
    ),
    "errors": (
        "get vs nix",
        "get nix",
        "get pods nix",
        "describe svc nix",
        "get pods -o nix",
        "get vs -o jsonpath={.nix",
        "logs nix",
        "scale deploy/nix --replicas=1",
        "scale deploy/nix --replicas=-1",
        "rollout undo deploy/nix",
        "rollout status deploy/nix",
        "label svc nix a=b",
        "patch vs nix --type=merge -p '{}'",
        "delete svc nix",
        "wait --for=condition=Available deploy/nix --timeout=1s",
        "apply -f nix.yaml",
        "set image deploy/nix a=b",
        "get pods -n nix",
        "create ns {namespace}",
        "create deployment x",
        f"apply -f - < apps/client {_SUBSETS} {_SPLIT}-50-50.yaml",
        "rollout status deploy/client --timeout=120s",
        "logs deploy/client -c nix",
        'patch deploy client -p \'{"spec":{"selector":{"matchLabels":{"app":"other"}}}}\'',
        'patch svc client --type=merge -p \'{"spec":{"type":"Nix"}}\'',
        "create svc clusterip client --tcp=80:80",
        *OWN_WORDS,
    ),
}


_FOLD = re.compile(r"<details><summary><b>In a terminal</b></summary>.*?```sh\n(.*?)```", re.DOTALL)


@cache
def all_scenes() -> dict[str, tuple[str, ...]]:
    """The scenes, and one for each lesson: what its fold "In a terminal" shows."""
    lessons = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        texts = ("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
        lines = [line for text in texts for fold in _FOLD.findall(text) for line in fold.splitlines()]
        if lines:
            lessons[path.stem] = tuple(line.removeprefix("kubectl ") for line in lines if line.startswith("kubectl "))
    return SCENES | lessons
