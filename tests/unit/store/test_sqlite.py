import asyncio
from pathlib import Path

from sqlalchemy import text

from tests.support.stores import fresh_store


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    async def scene() -> list[int]:
        store = fresh_store(tmp_path)
        await store.write(lambda tx: tx.execute(text("CREATE TABLE t (a INTEGER) STRICT")))
        await asyncio.gather(
            *(
                store.write(lambda tx, n=n: tx.execute(text(f"INSERT INTO t VALUES ({n})")) and n)
                for n in range(50)
            )
        )
        rows = await store.read(lambda tx: [r.a for r in tx.execute(text("SELECT a FROM t"))])
        await store.close()
        return rows

    assert sorted(asyncio.run(scene())) == list(range(50))
