"""``nightrank serve``: one process that answers any query, from what was made in advance and from warm models."""
