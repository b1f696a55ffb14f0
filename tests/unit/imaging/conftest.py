import pytest

from safelight.imaging.libvips import restrict


@pytest.fixture(autouse=True, scope="session")
def _restricted_libvips():
    """Read as a render child reads: only the format table's loaders, nothing cached."""
    restrict()


@pytest.fixture
def file(tmp_path):
    def file(data: bytes, name: str = "source"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return file
