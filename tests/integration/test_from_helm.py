"""The page for people who know Helm converts a chart: the real helm makes the same objects as the Promise."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests import charts
from tests.documents import ROOT, blocks
from tests.guides import write_file
from troth.authoring.home import load_home
from troth.authoring.rendering.requests import Requests
from troth.authoring.workers.bounded_worker import BoundedWorker

PAGE = ROOT / "docs" / "from" / "helm.md"


def test_the_chart_and_the_promise_it_became_make_the_same_objects(helm: Path, tmp_path: Path) -> None:
    for block in blocks(PAGE):
        if block.comment == "file":
            write_file(block, tmp_path)
    request = yaml.safe_load((tmp_path / "web" / "examples" / "shop.yaml").read_text("utf-8"))
    name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
    of_helm = charts.render(helm, request["spec"], release=name, namespace=namespace, chart=tmp_path / "chart")
    with BoundedWorker() as worker:
        rendering = Requests(load_home(tmp_path / "web"), destinations=None).render_with(
            worker.render_now, request
        )
    of_troth = [yaml.safe_load(content) for content in rendering.files.values()]
    assert sorted(of_troth, key=str) == sorted(of_helm, key=str)
    assert len(of_troth) == 2
