"""Filters compiled for a collection: fields of documents, filters of queries; in the language of `storage/filters`."""
