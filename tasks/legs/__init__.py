"""What legs over stored vectors share, dense and sparse: the collection's texts, and lists that nights hand on."""
