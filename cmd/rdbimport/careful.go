package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// carefulFlags say how much care is taken of the target, and what is kept for
// when something goes wrong.
type carefulFlags struct {
	replicas   int
	rate       sizeFlag
	rateKeys   countFlag
	onOOM      string
	errors     string
	checkpoint string
	spool      string
}

// mostReplicas bounds --wait-replicas.
const mostReplicas = 100

func (f *carefulFlags) register(fs *pflag.FlagSet) {
	f.rate.least, f.rate.perSecond = 1<<10, true
	fs.IntVar(&f.replicas, "wait-replicas", 0, "a key counts when `N` replicas have it: a failover to one of them loses nothing")
	fs.Var(&f.rate, "rate", "send so many bytes a second at the most, to all masters together")
	fs.Var(&f.rateKeys, "rate-keys", "send `N` keys a second at the most")
	fs.StringVar(&f.onOOM, "on-oom", "stop", "`POLICY` for a master that is out of memory: stop, or wait until it has some")
	fs.StringVar(&f.errors, "errors", "", "write one line of JSON to `FILE` for each key that is refused")
	fs.StringVar(&f.checkpoint, "checkpoint", "", "keep in `FILE` how far it has come; with the same FILE it goes on from there (rdbimport help checkpoints)")
	fs.StringVar(&f.spool, "spool", "", "for standard input: read ahead into a file in `DIR`, so that its writer is not held up")
	for name, ex := range map[string]string{
		"wait-replicas": "1", "rate": "50MB", "rate-keys": "100000 (also 100k)", "on-oom": "wait", "errors": "refused.jsonl", "checkpoint": "import.ckpt", "spool": "/var/tmp",
	} {
		annotate(fs, name, ex)
	}
}

// apply checks the flags and puts them into set.
func (f *carefulFlags) apply(fs *pflag.FlagSet, set *settings) error {
	switch {
	case f.replicas < 0 || f.replicas > mostReplicas:
		return valueError(fs.Lookup("wait-replicas"), fmt.Sprint(f.replicas), fmt.Sprintf("it is a number from 0 to %d", mostReplicas))
	case f.onOOM != "stop" && f.onOOM != "wait":
		return valueError(fs.Lookup("on-oom"), f.onOOM, "it is stop or wait")
	}
	for _, name := range []string{"errors", "checkpoint", "spool"} {
		if fl := fs.Lookup(name); fl.Changed && fl.Value.String() == "" {
			return valueError(fl, "", "it is empty")
		}
	}
	o := &set.pipeline
	o.WaitReplicas, o.Rate, o.RateKeys, o.WaitOnOOM = f.replicas, f.rate.bytes, int64(f.rateKeys), f.onOOM == "wait"
	o.Marks = f.checkpoint != ""
	set.errorsFile, set.checkpointFile, set.spoolDir = f.errors, f.checkpoint, f.spool
	return nil
}
