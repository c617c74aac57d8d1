"""What is kept of Jobs and Pods, of which a cluster may have thousands."""

from __future__ import annotations

from tests.unit.engine.jobs.sample import RUN, SETTINGS
from troth.api import labels as names
from troth.controllers.job_views import follow_job, follow_pod
from troth.engine.jobs.objects import make_objects

TEXT = "kind: Redis\nspec: {password: hunter2}\n"


def test_the_object_that_a_pod_holds_is_not_kept() -> None:
    job = {**make_objects(RUN, SETTINGS, TEXT).job[1], "status": {}}
    template = job["spec"]["template"]
    assert template["metadata"]["annotations"][names.OBJECT] == TEXT
    owner = {"kind": "Job", "name": job["metadata"]["name"], "uid": "u"}
    metadata = {**template["metadata"], "name": "pod", "namespace": "team-a", "ownerReferences": [owner]}
    pod = follow_pod({"metadata": metadata, "spec": template["spec"]})
    assert (pod.job, pod.metadata.owner_uids) == (job["metadata"]["name"], ("u",))
    for view in (pod, follow_job(job)):
        assert "hunter2" not in repr(view)
