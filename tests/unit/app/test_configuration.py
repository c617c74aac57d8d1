"""What the reconcilers go by, from the operator's settings and Kratix's configuration."""

from __future__ import annotations

import pytest

from troth.api import InvalidObject
from troth.app.configuration import controller_settings, read_document
from troth.app.settings import Settings


def test_the_interval_of_kratix_s_configuration_counts_before_the_setting() -> None:
    settings = Settings(reconciliation_interval=600.0)
    assert controller_settings(settings).reconciliation_interval == 600
    kratix = read_document("reconciliationInterval: 1h30m\nworkflows: {reconcileAfterFailure: false}\n")
    found = controller_settings(settings, kratix)
    assert (found.reconciliation_interval, found.reconcile_after_failure) == (5400, False)


@pytest.mark.parametrize("wrong", ["59s", "soon", "-1h"])
def test_an_interval_that_cannot_be_used_is_refused_with_its_path(wrong: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        read_document(f"reconciliationInterval: {wrong}\n")
    assert caught.value.field == "reconciliationInterval"
