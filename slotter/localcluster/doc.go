// Package localcluster runs real Redis or Valkey servers on the loopback interface, in a temporary folder and on free ports, as a cluster
// or standalone. It is for the demo, the tests and the benchmarks: nothing is persisted, and the servers die with the program that
// started them (on Linux even when that program is killed).
package localcluster
