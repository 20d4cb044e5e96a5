"""`GET /v1/jobs` through HTTP: filters and pages."""

import pytest

from tests.api.conftest import Api


async def test_lists_filter_and_go_on(api: Api) -> None:
    ids = [await api.submitted(metadata={"n": str(n % 2)}) for n in range(5)]

    first = (await api.client.get("/v1/jobs?limit=2")).json()
    second = (await api.client.get(f"/v1/jobs?limit=2&after={first['last_id']}")).json()
    tagged = (await api.client.get("/v1/jobs", params={"metadata[n]": "1"})).json()
    oldest = (await api.client.get("/v1/jobs?order=asc&limit=1")).json()

    assert [ids[4], ids[3], ids[2], ids[1]] == [job["id"] for job in first["data"] + second["data"]]
    assert first["has_more"]
    assert [ids[3], ids[1]] == [job["id"] for job in tagged["data"]]
    assert [ids[0]] == [job["id"] for job in oldest["data"]]


@pytest.mark.parametrize(
    "query", ["status=done", "endpoint=/v1/x", "created_after=monday", "limit=0", "after=job_x"]
)
async def test_a_wrong_filter_is_refused(api: Api, query: str) -> None:
    assert (await api.client.get(f"/v1/jobs?{query}")).status_code == 400
