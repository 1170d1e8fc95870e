"""Rows of the Google Ads client library are landed with their zeros, and without values that were not asked for.

A gRPC server on loopback sends the messages of the library to its real client.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import conftest
import grpc
import pytest
from google.ads.googleads.v26.common.types.metrics import Metrics
from google.ads.googleads.v26.resources.types.ad_group import AdGroup
from google.ads.googleads.v26.services.services.google_ads_service import GoogleAdsServiceClient
from google.ads.googleads.v26.services.services.google_ads_service.transports import GoogleAdsServiceGrpcTransport
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow, SearchGoogleAdsStreamResponse
from google.api_core.exceptions import ServiceUnavailable
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, MessageToJson

import rawsink

KEY = rawsink.PartitionKey("google_ads", "1234567890", "ad_group", "2024-06-01")
RUN = "2024-06-02T00:00:00.000Z"
METHOD = "/google.ads.googleads.v26.services.GoogleAdsService/SearchStream"
Serve = Callable[..., GoogleAdsServiceClient]


@pytest.fixture(scope="module")
def recipe() -> Any:
    """The program of the page as a module."""
    module = types.ModuleType("land_google_ads")
    exec(compile(conftest.code_of("land_google_ads.py"), "docs/recipes.md", "exec"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def selected(recipe: Any) -> list[str]:
    """The members that the query of the page selects."""
    (text,) = re.findall(r"SELECT (.*?)\s+FROM", recipe.QUERY, re.S)
    return [name.strip() for name in text.split(",")]


@pytest.fixture
def serve(selected: list[str]) -> Iterator[Serve]:
    """Return the client of a server that sends rows, a batch each, and then may fail."""
    server = grpc.server(ThreadPoolExecutor(2))
    rows: list[GoogleAdsRow] = []
    fails = False

    def stream(request: object, context: grpc.ServicerContext) -> Iterator[SearchGoogleAdsStreamResponse]:
        for row in rows:
            yield SearchGoogleAdsStreamResponse(results=[row], field_mask=FieldMask(paths=selected))
        if fails:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection is gone")

    handler = grpc.unary_stream_rpc_method_handler(
        stream, response_serializer=SearchGoogleAdsStreamResponse.serialize
    )
    server.add_generic_rpc_handlers([OneMethod(handler)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def serve(*sent: GoogleAdsRow, then_fails: bool = False) -> GoogleAdsServiceClient:
        nonlocal fails
        rows[:], fails = sent, then_fails
        return GoogleAdsServiceClient(transport=GoogleAdsServiceGrpcTransport(channel=channel))

    yield serve
    channel.close()
    server.stop(None)


class OneMethod(grpc.GenericRpcHandler):
    """Finds the handler of the one method."""

    def __init__(self, handler: grpc.RpcMethodHandler) -> None:
        self.handler = handler

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self.handler if details.method == METHOD else None


def quiet_day() -> GoogleAdsRow:
    """Return a row without clicks, as a server sends it."""
    row = GoogleAdsRow()
    row.campaign.id = 20113853624
    row.campaign.name = "Sommer-Aktion Küche"
    row.campaign.status = "ENABLED"
    row.ad_group.resource_name = "customers/1234567890/adGroups/7"
    row.ad_group.type_ = "SEARCH_STANDARD"
    row.metrics.clicks = 0
    row.metrics.publisher_organic_clicks = 0
    return row


def test_zeros_are_kept_and_nothing_is_invented(recipe: Any, serve: Serve, sink: rawsink.RawSink) -> None:
    recipe.land(serve(quiet_day()), sink, KEY, RUN)
    assert sink.validate_partition(KEY, RUN, strict=True).passed
    (line,) = sink.open_current(KEY).lines()
    assert json.loads(line) == {
        "campaign": {"id": "20113853624", "name": "Sommer-Aktion Küche", "status": "ENABLED"},
        # The server sends it with every row of an ad group.
        "adGroup": {"resourceName": "customers/1234567890/adGroups/7", "type": "SEARCH_STANDARD"},
        # `metrics.conversions` has presence and was not sent; the message `segments` was not sent either.
        "metrics": {"clicks": "0", "publisherOrganicClicks": "0"},
    }
    assert "Küche".encode() in line


def test_the_default_loses_zeros_without_presence(serve: Serve) -> None:
    ((row,),) = [batch.results for batch in serve(quiet_day()).search_stream(customer_id="1", query="SELECT")]
    message = GoogleAdsRow.pb(row)
    assert MessageToDict(message)["metrics"] == {"clicks": "0"}
    printed = MessageToDict(message, always_print_fields_with_no_presence=True)
    assert printed["metrics"]["publisherOrganicClicks"] == "0"
    assert printed["campaign"]["servingStatus"] == "UNSPECIFIED", "the query does not select it"


def test_a_row_of_either_kind_is_the_same(recipe: Any, selected: list[str]) -> None:
    names = [recipe.in_json(path) for path in selected]
    row = quiet_day()
    assert recipe.line_of(row, names) == recipe.line_of(GoogleAdsRow.pb(row), names)
    assert recipe.line_of(GoogleAdsRow(), names) == "{}\n"


def test_a_stream_that_breaks_seals_nothing(recipe: Any, serve: Serve, sink: rawsink.RawSink) -> None:
    with pytest.raises(ServiceUnavailable):
        recipe.land(serve(quiet_day(), quiet_day(), then_fails=True), sink, KEY, RUN)
    assert not [run for run in sink.list_runs(KEY) if run.sealed]
    recipe.land(serve(quiet_day(), quiet_day()), sink, KEY, RUN)
    assert sink.open_partition(KEY, RUN).verify().record_count == 2


def test_the_table_of_the_page_is_right(sink: rawsink.RawSink) -> None:
    message = GoogleAdsRow.pb(quiet_day())
    assert "\n" in MessageToJson(message)
    assert "\n" not in MessageToJson(message, indent=None)
    assert "\\u00fc" in MessageToJson(message)
    assert GoogleAdsRow.to_dict(quiet_day())["campaign"]["status"] == 2
    assert GoogleAdsRow.to_dict(quiet_day())["campaign"]["serving_status"] == 0
    group = AdGroup.pb()(type_="SEARCH_STANDARD")
    assert list(MessageToDict(group, preserving_proto_field_name=True)) == ["type_"]
    with pytest.raises(rawsink.Invalid):
        with sink.write_partition(KEY, RUN) as writer:
            writer.write_lines(MessageToJson(message) + "\n")
            writer.finalize(api_version="v26")
    fields = Metrics.pb().DESCRIPTOR.fields
    without = [field for field in fields if not field.has_presence and not field.is_repeated]
    numbers = [field.name for field in without if field.type != FieldDescriptor.TYPE_ENUM]
    page = conftest.PAGE.read_text()
    assert f"{len(numbers)} of the {len(fields)} metrics" in page
    for name in numbers:
        assert f"`{name}`" in page


def test_a_path_of_a_query_names_the_member_in_json(recipe: Any) -> None:
    names = 0
    for outer in GoogleAdsRow.pb().DESCRIPTOR.fields:
        for inner in outer.message_type.fields:
            # In a query, a name has no underscore at its end; Python reserves some names.
            path = f"{outer.name}.{inner.name.rstrip('_')}"
            assert recipe.in_json(path) == f"{outer.json_name}.{inner.json_name}"
            names += 1
    assert names > 2_000
