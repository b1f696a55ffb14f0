"""Acts as a user who has only HTTP."""

import asyncio
import io
from collections.abc import Collection
from typing import Any

import aiohttp

SETTLED_SECONDS = 60


class Person:
    """A user with an API key, who uses only the API and the URLs that it returns."""

    def __init__(self, http: aiohttp.ClientSession, api_url: str, key: str) -> None:
        self._http = http
        self._api_url = api_url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def ask(
        self, body: bytes, *, filename: str = "photo.jpg", content_type: str = "image/jpeg",
        method: str = "POST", key: str | None = None, status: int | Collection[int] = 201,
        **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Request a presigned upload of this many bytes, with an Idempotency-Key if it is given."""
        request = {
            **({} if "imageId" in more else {"filename": filename}),
            "contentType": content_type,
            "size": len(body),
            "method": method,
            **more,
        }
        headers = {"Idempotency-Key": key} if key else {}
        return await self.request(
            "POST", "/v1/uploads", status=status, json=request, headers=headers
        )

    async def send(self, ticket: dict[str, Any], body: bytes) -> int:
        """Send the bytes to the ticket's URL; return the status of storage's answer."""
        if ticket["method"] == "PUT":
            async with self._http.put(
                ticket["url"], data=io.BytesIO(body), headers=ticket["headers"]
            ) as answer:
                return answer.status
        form = aiohttp.FormData(quote_fields=False)
        for name, value in ticket["fields"].items():
            form.add_field(name, value)
        form.add_field("file", io.BytesIO(body), filename="file")
        async with self._http.post(ticket["url"], data=form) as answer:
            return answer.status

    async def upload(self, body: bytes, **request: Any) -> str:
        """Upload a picture; return its image id."""
        ticket = await self.ask(body, **request)
        status = await self.send(ticket, body)
        assert status in (200, 201, 204), status
        return str(ticket["imageId"])

    async def replace(self, image_id: str, body: bytes) -> dict[str, Any]:
        """Upload another picture of an image; return its new form."""
        ticket = await self.ask(body, imageId=image_id)
        status = await self.send(ticket, body)
        assert status == 201, status
        return ticket

    async def image(self, image_id: str) -> tuple[int, dict[str, Any]]:
        """Request an image; return status and body."""
        url = f"{self._api_url}/v1/images/{image_id}"
        async with self._http.get(url, headers=self._headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def settled(self, image_id: str) -> dict[str, Any]:
        """Poll until the image is settled, as a client would; return its body."""
        async with asyncio.timeout(SETTLED_SECONDS):
            while True:
                status, image = await self.image(image_id)
                assert status == 200, image
                if image["status"] != "pending":
                    return image
                await asyncio.sleep(0.05)

    async def found(self, **query: str) -> list[str]:
        """Search for images; return the ids of the first page."""
        url = f"{self._api_url}/v1/images"
        async with self._http.get(url, params=query, headers=self._headers) as answer:
            assert answer.status == 200, await answer.text()
            return [image["imageId"] for image in (await answer.json())["images"]]

    async def change(self, image_id: str, **change: Any) -> dict[str, Any]:
        """Change an image; return its body."""
        url = f"{self._api_url}/v1/images/{image_id}"
        async with self._http.patch(url, json=change, headers=self._headers) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def erase(self, image_id: str) -> dict[str, Any]:
        """Erase an image; return the answer."""
        return await self.request("DELETE", f"/v1/images/{image_id}", status=202)

    async def erase_all(self, **what: Any) -> dict[str, Any]:
        """Erase several images, or everything; return the answer."""
        return await self.request("POST", "/v1/erasures", status=202, json=what)

    async def erasure(self, erasure_id: str) -> dict[str, Any]:
        """Request the counts of an erasure of all images."""
        return await self.request("GET", f"/v1/erasures/{erasure_id}")

    async def receipt(self, image_id: str) -> dict[str, Any]:
        """Request the receipt of an erased image."""
        return await self.request("GET", f"/v1/images/{image_id}/erasure")

    async def request(
        self, method: str, path: str, *, status: int | Collection[int] = 200, **more: Any
    ) -> dict[str, Any]:
        """Send a request that must be answered with this status, or one of these."""
        expected = (status,) if isinstance(status, int) else status
        url = f"{self._api_url}{path}"
        headers = self._headers | more.pop("headers", {})
        async with self._http.request(method, url, headers=headers, **more) as answer:
            assert answer.status in expected, await answer.text()
            return dict(await answer.json(content_type=None))

    async def download(self, url: str) -> tuple[str, bytes]:
        """Fetch a delivered variant; return its media type and bytes."""
        async with self._http.get(url) as answer:
            assert answer.status == 200, await answer.text()
            return answer.content_type, await answer.read()
