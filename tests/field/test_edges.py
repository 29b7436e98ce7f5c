"""Behind nginx and HAProxy as they limit, refuse, time out and drop: 2,000 texts, each its own embedding."""

from __future__ import annotations

import pytest

from .calls import COLOURS, COUNT, assert_whole, embed
from .servers import run, start_haproxy, start_nginx

NGINX = {
    "limit_req": ("limit_req_zone $server_port zone=all:1m rate=50r/s;", "limit_req zone=all burst=10 nodelay;"),
    "limit_req with 429": (
        "limit_req_zone $server_port zone=all:1m rate=50r/s;",
        "limit_req zone=all burst=10 nodelay; limit_req_status 429;",
    ),
    "limit_conn": ("limit_conn_zone $server_port zone=all:1m;", "limit_conn all 3;"),
}
BY_RATE = """
    stick-table type ip size 1k expire 10s store http_req_rate(1s)
    http-request track-sc0 src
    http-request deny deny_status {status} if {{ sc_http_req_rate(0) gt 40 }}
"""
SILENT = """
    stick-table type ip size 1k expire 60s store http_req_cnt
    http-request track-sc0 src
    http-request silent-drop if { sc_http_req_cnt(0) ge 20 } { sc_http_req_cnt(0) le 25 }
"""
HAPROXY = {
    "queue that is left": {"most": 2, "queue": "100ms"},
    "rejects with 429": {"rules": BY_RATE.format(status=429)},
    "rejects with 503": {"rules": BY_RATE.format(status=503)},
}


def url(daemon):
    return f"http://127.0.0.1:{daemon.port}/api/v1"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("setting", NGINX)
def test_behind_an_nginx_that_limits_all_texts_land(embeddings_gateway, upstream, right, tmp_path, setting, colour):
    http, server = NGINX[setting]
    embeddings_gateway.configure(latency=0.02)
    with run(start_nginx(tmp_path, upstream, http=http, server=server)) as edge:
        result = embed(colour, url(edge))
    assert_whole(result, right, embeddings_gateway)
    assert result.usage.retries, "nginx limited nothing"


@pytest.mark.parametrize("colour", COLOURS)
def test_behind_an_nginx_that_takes_small_bodies_only_all_texts_land(
    embeddings_gateway, upstream, right, tmp_path, colour
):
    with run(start_nginx(tmp_path, upstream, server="client_max_body_size 4k;")) as edge:
        result = embed(colour, url(edge), batch_size=None)
    assert_whole(result, right, embeddings_gateway)
    assert embeddings_gateway.paid_inputs() == COUNT
    assert 8 < result.usage.requests < 40


@pytest.mark.parametrize("colour", COLOURS)
def test_behind_an_nginx_that_waits_for_no_slow_gateway_all_texts_land(
    embeddings_gateway, upstream, right, tmp_path, colour
):
    embeddings_gateway.trouble("slow", seconds=3.0, times=3, after=10)
    with run(start_nginx(tmp_path, upstream, server="proxy_read_timeout 1s;")) as edge:
        result = embed(colour, url(edge))
    assert_whole(result, right, embeddings_gateway)
    assert result.usage.replays == 3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("setting", HAPROXY)
def test_behind_a_haproxy_that_limits_all_texts_land(embeddings_gateway, upstream, right, tmp_path, setting, colour):
    embeddings_gateway.configure(latency=0.02)
    with run(start_haproxy(tmp_path, upstream, **HAPROXY[setting])) as edge:
        result = embed(colour, url(edge))
    assert_whole(result, right, embeddings_gateway)
    assert result.usage.retries, "HAProxy limited nothing"


@pytest.mark.parametrize("colour", COLOURS)
def test_behind_a_haproxy_that_queues_all_texts_land_at_once(embeddings_gateway, upstream, right, tmp_path, colour):
    embeddings_gateway.configure(latency=0.02)
    with run(start_haproxy(tmp_path, upstream, most=2)) as edge:
        result = embed(colour, url(edge))
    assert_whole(result, right, embeddings_gateway)
    assert embeddings_gateway.max_in_flight() == 2
    assert result.usage.retries == 0


@pytest.mark.parametrize("colour", COLOURS)
def test_behind_a_haproxy_that_drops_requests_silently_all_texts_land(
    embeddings_gateway, upstream, right, tmp_path, colour
):
    with run(start_haproxy(tmp_path, upstream, rules=SILENT)) as edge:
        result = embed(colour, url(edge), timeout=2.0)
    assert_whole(result, right, embeddings_gateway)
    assert embeddings_gateway.paid_inputs() == COUNT
    assert result.usage.replays == 6
