"""Alembic's entry: runs migrations on the connection that `database.py` hands it."""

from alembic import context

from voicegw.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can alter little: tables are copied.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
