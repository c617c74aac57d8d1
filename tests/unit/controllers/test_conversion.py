"""How an API server is told to reach the conversion webhook."""

from __future__ import annotations

import base64

from troth.controllers.conversion import ConversionEndpoint


def test_behind_a_service_the_api_server_connects_to_it_under_its_name() -> None:
    endpoint = ConversionEndpoint(service="hook", namespace="system", authority=b"PEM")
    assert endpoint.names == ("hook.system.svc", "hook.system.svc.cluster.local")
    assert endpoint.client("things.example.com") == {
        "caBundle": base64.b64encode(b"PEM").decode(),
        "service": {"name": "hook", "namespace": "system", "path": "/convert/things.example.com", "port": 443},
    }


def test_without_a_service_the_api_server_connects_to_the_address() -> None:
    endpoint = ConversionEndpoint(address="::1", port=8443, authority=b"PEM")
    assert endpoint.names == ("::1",)
    assert endpoint.client("a.b")["url"] == "https://[::1]:8443/convert/a.b"
    assert ConversionEndpoint(address="127.0.0.1", port=1, authority=b"PEM").client("a.b")["url"] == (
        "https://127.0.0.1:1/convert/a.b"
    )


def test_nothing_is_served_before_there_is_a_certificate_or_where_nobody_could_connect() -> None:
    assert not ConversionEndpoint(service="hook", namespace="system").is_served
    assert not ConversionEndpoint(authority=b"PEM").is_served
    assert ConversionEndpoint(address="127.0.0.1", authority=b"PEM").is_served
