package localcluster

import (
	"crypto/tls"
	"errors"
	"time"
)

// Options say what to start. The zero value is a cluster of three masters without replicas.
type Options struct {
	Binary string // server binary; FindServer's when ""

	Masters    int  // 3 when 0; 1 when Standalone
	Replicas   int  // for each master
	Standalone bool // no cluster mode: one server, and its Replicas

	// NodeTimeout is cluster-node-timeout: how long a node may be silent before the others think it failed. 5 s when 0.
	NodeTimeout time.Duration

	// Config holds more lines for the configuration file of each server, "name value"; they win over the ones this package writes.
	Config []string

	Password string // requirepass and masterauth

	// TLS makes the servers speak TLS only, to clients and to each other.
	TLS *TLS

	DumpFile string // a dump that the standalone server loads; it is linked, not copied
	Dir      string // where the temporary folder is made; os.TempDir when ""
}

// TLS are the files and the client's configuration for servers that speak TLS.
type TLS struct {
	CACert, Cert, Key string      // PEM files; the certificate must be valid for 127.0.0.1
	Client            *tls.Config // for clients, of this package and of tests
}

// withDefaults checks o and fills in what is 0.
func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Masters == 0 {
		o.Masters = 3
		if o.Standalone {
			o.Masters = 1
		}
	}
	if o.NodeTimeout == 0 {
		o.NodeTimeout = 5 * time.Second
	}
	switch {
	case o.Masters < 0 || o.Replicas < 0 || o.Masters > 100 || o.Replicas > 10:
		err = errors.New("localcluster: bad number of masters or replicas")
	case o.Standalone && o.Masters != 1:
		err = errors.New("localcluster: standalone means one master")
	case o.DumpFile != "" && !o.Standalone:
		err = errors.New("localcluster: only a standalone server can load a dump")
	case o.TLS != nil && o.TLS.Client == nil:
		err = errors.New("localcluster: TLS without a client's configuration")
	}
	if err == nil && o.Binary == "" {
		o.Binary, err = FindServer()
	}
	return o, err
}
