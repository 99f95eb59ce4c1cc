"""From exported chips to a trained model: data, Lightning task, report."""
