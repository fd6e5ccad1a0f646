import pytest

from tests.spreading import uses_desk


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("tests/embedded/test_desk.py", True),
        ("tests/e2e/test_reviewer.py", True),
        ("tests/embedded/test_harness.py", False),
        ("tests/test_locks.py", False),
    ],
)
def test_it_knows_the_files_whose_tests_use_the_desk(file, expected):
    assert uses_desk(file) is expected
