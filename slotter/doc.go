// Package slotter knows where a key belongs in a Redis or Valkey cluster and how to get there: the hash slot of a key, the map of slots to
// masters, the discovery of both from any node, and connections that are greeted (TLS, AUTH, database) and then handed over raw.
//
// It knows nothing of dumps.
package slotter
