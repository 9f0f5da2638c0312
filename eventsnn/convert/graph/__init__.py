"""The conversion graph: operations, nodes, and what an importer gives."""
