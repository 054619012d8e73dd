"""HQL, OMERO's query language: parsed, compiled to closures, run over the rows."""
