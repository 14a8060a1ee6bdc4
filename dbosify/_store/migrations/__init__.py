"""The history of dbosify's own tables, one numbered step a file; DBOS keeps its own.

There is no `env.py`: Alembic's would be found through variables of the whole process,
which an application that migrates its own database at the same time uses too. So
`migrate.py` runs the steps, and each is handed its `Operations` and the schema.

Every step must be able to run again over its own result: DBOS's reset empties all
tables of the schema, the one with our version among them, and drops none.
"""
