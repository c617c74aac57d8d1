"""The labels and annotations that tools put on an object for their own bookkeeping, such as how it was applied.

Templates must not read them. The same request applied with ``kubectl apply``, server-side, with Helm or from Git is the
same request, and has to give the same files; and a tool may change its notes although nobody has asked for something
else. docs/reference/template.md has this list for people, and a test compares the two.

The *settings* of a tool, such as ``argocd.argoproj.io/sync-wave``, are not in the list: people write those, and may
want a template to read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from troth.api import labels as names

NAMES: Final = frozenset(
    {
        # kubectl
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubectl.kubernetes.io/restartedAt",
        "kubernetes.io/change-cause",
        # Helm
        "meta.helm.sh/release-name",
        "meta.helm.sh/release-namespace",
        # Argo CD
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/installation-id",
        "argocd.argoproj.io/instance",
        # Flux
        "kustomize.toolkit.fluxcd.io/name",
        "kustomize.toolkit.fluxcd.io/namespace",
        "kustomize.toolkit.fluxcd.io/checksum",
        "helm.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/namespace",
        "reconcile.fluxcd.io/requestedAt",
        # kapp
        "kapp.k14s.io/app",
        "kapp.k14s.io/association",
        "kapp.k14s.io/identity",
        "kapp.k14s.io/original",
        "kapp.k14s.io/original-diff",
        "kapp.k14s.io/original-diff-full",
        "kapp.k14s.io/original-diff-md5",
        # kustomize, kpt, Config Sync
        "alpha.config.kubernetes.io/transformations",
        "config.kubernetes.io/origin",
        "config.kubernetes.io/owning-inventory",
        "config.k8s.io/owning-inventory",
        # Pulumi, Kyverno, Velero
        "pulumi.com/autonamed",
        "policies.kyverno.io/last-applied-patches",
        "velero.io/backup-name",
        "velero.io/restore-name",
        # Kratix and Troth
        names.WORKFLOW_SUSPENDED,
        names.MANUAL_RECONCILIATION,
        names.RECONCILE_RESOURCES,
        names.RUN_FROM_START,
        names.WISHES,
    }
)
"""Labels and annotations that are never shown to templates."""

PREFIXES: Final = (
    "applyset.kubernetes.io/",
    "configsync.gke.io/",
    "internal.config.kubernetes.io/",
    "kratix.io/trace-",
    "objectset.rio.cattle.io/",
    "skaffold.dev/",
)
"""Prefixes of labels and annotations that are never shown to templates: `kubectl apply --applyset`, Config Sync,
Kratix' traces, Rancher Fleet, Skaffold."""

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGERS: Final = ("Helm", "pulumi", "skaffold")
"""Tools that put their own name into `MANAGED_BY` on everything that they apply. Any other value is shown."""

FIELDS: Final = ("finalizers", "managedFields", "resourceVersion", "selfLink")
"""Fields of ``metadata`` that are never shown to templates."""


def is_hidden(name: str, value: object = None) -> bool:
    """Whether a label or an annotation is bookkeeping of a tool, so that templates must not see it."""
    return name in NAMES or name.startswith(PREFIXES) or (name == MANAGED_BY and value in MANAGERS)


def without_bookkeeping(noted: Mapping[str, str]) -> dict[str, str]:
    """Returns labels or annotations without the bookkeeping of tools."""
    return {name: value for name, value in noted.items() if not is_hidden(name, value)}
