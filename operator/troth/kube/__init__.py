"""The API server: client, informers, the work queue, events."""

from troth.kube.client import FIELD_MANAGER, Client, Listing
from troth.kube.credentials import Credentials, from_kubeconfig_dict, load_credentials
from troth.kube.errors import (
    REFUSALS,
    AlreadyExists,
    ApiError,
    Conflict,
    ConnectionFailed,
    CredentialsError,
    DeadlineExceeded,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    LastingRefusal,
    NotFound,
    ServerError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unintelligible,
)
from troth.kube.events import EventRecorder, ObjectReference
from troth.kube.informer import Informer
from troth.kube.outage import Outages
from troth.kube.queue import (
    PRIORITY_CHANGE,
    PRIORITY_DEPENDENT,
    PRIORITY_RESYNC,
    QueueClosed,
    WorkQueue,
    party_of,
)
from troth.kube.watch import WatchEvent

__all__ = [
    "FIELD_MANAGER",
    "PRIORITY_CHANGE",
    "PRIORITY_DEPENDENT",
    "PRIORITY_RESYNC",
    "REFUSALS",
    "AlreadyExists",
    "ApiError",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Credentials",
    "CredentialsError",
    "DeadlineExceeded",
    "EventRecorder",
    "Forbidden",
    "Gone",
    "Informer",
    "Invalid",
    "KubeError",
    "LastingRefusal",
    "Listing",
    "NotFound",
    "ObjectReference",
    "Outages",
    "QueueClosed",
    "ServerError",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unintelligible",
    "WatchEvent",
    "WorkQueue",
    "from_kubeconfig_dict",
    "load_credentials",
    "party_of",
]
