package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// systemBundles are where systems keep the authorities that they trust, in PEM:
// the files in which Go looks (crypto/x509, root_linux.go, root_bsd.go and
// root_unix.go).
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
	"/usr/local/etc/ssl/cert.pem",
	"/etc/openssl/certs/ca-certificates.crt",
	"/usr/local/share/certs/ca-root-nss.crt",
}

// trustFiles are files with authorities, for the command.
type trustFiles struct {
	ca     string // Ours alone.
	bundle string // The system's, or those of the user's SSL_CERT_FILE, and ours.
	// The same for programs that have a variable of their own, whose value the
	// user may have set to something else.
	requests, curl, node, httplib2 string
	java                           string // The bundle as a trust store in PKCS #12.
}

// trustMaker writes the files.
type trustMaker struct {
	s    streams
	dir  string
	ours []byte
}

// writeTrust writes files with the user's authorities and ours to a folder.
func writeTrust(s streams, dir string, getenv func(string) string, ours []byte) (f trustFiles, err error) {
	m := trustMaker{s, dir, ours}
	if f.ca, err = m.write("ca.pem", nil); err != nil {
		return f, err
	}
	base, err := m.base(getenv("SSL_CERT_FILE"))
	if err != nil {
		return f, err
	}
	if f.bundle, err = m.write("ca-bundle.pem", base); err != nil {
		return f, err
	}
	if f.java, err = m.writeTrustStore(slices.Concat(base, m.ours)); err != nil {
		return f, err
	}
	f.requests, f.curl, f.httplib2, f.node = f.bundle, f.bundle, f.bundle, f.ca
	for _, v := range []struct {
		variable, name string
		file           *string
	}{
		{"REQUESTS_CA_BUNDLE", "requests.pem", &f.requests},
		{"CURL_CA_BUNDLE", "curl.pem", &f.curl},
		{"HTTPLIB2_CA_CERTS", "httplib2.pem", &f.httplib2},
		{"NODE_EXTRA_CA_CERTS", "node.pem", &f.node},
	} {
		path := getenv(v.variable)
		if path == "" {
			continue
		}
		text, err := readBundle(path)
		if err != nil {
			return f, usagef("%s: %w", v.variable, err)
		}
		if *v.file, err = m.write(v.name, text); err != nil {
			return f, err
		}
	}
	return f, nil
}

// base returns the authorities that the command would trust without us.
func (m trustMaker) base(user string) ([]byte, error) {
	if user != "" {
		text, err := readBundle(user)
		if err != nil {
			return nil, usagef("SSL_CERT_FILE: %w", err)
		}
		return text, nil
	}
	for _, path := range systemBundles {
		text, err := readBundle(path)
		if err == nil {
			return text, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(m.s.err, "doppelbox: warning: %s\n", oneLine(err.Error()))
		}
	}
	fmt.Fprintln(m.s.err, "doppelbox: warning: this system has no file of authorities: the command trusts ours alone")
	return nil, nil
}

// write writes authorities and ours to a file, and returns its path.
func (m trustMaker) write(name string, base []byte) (string, error) {
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, slices.Concat(base, m.ours), 0o600); err != nil {
		return "", faultError{err}
	}
	return path, nil
}

// readBundle reads a file of authorities, or, as OpenSSL and Python's requests
// have them, all those of a folder.
func readBundle(path string) ([]byte, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return readAuthorities(path) // It is no folder, or nothing at all.
	}
	var text []byte
	seen := map[string]bool{} // A folder has most of them twice, under a hash of their name.
	for _, e := range entries {
		one, err := readAuthorities(filepath.Join(path, e.Name()))
		if err != nil || !bytes.Contains(one, []byte("BEGIN CERTIFICATE")) || seen[string(one)] {
			continue
		}
		seen[string(one)] = true
		text = append(text, one...)
	}
	return text, nil
}

// readAuthorities reads a file to which others can be added.
func readAuthorities(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTextFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxTextFile {
		return nil, fmt.Errorf("%q is larger than %d octets", path, maxTextFile)
	}
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	return text, nil
}
