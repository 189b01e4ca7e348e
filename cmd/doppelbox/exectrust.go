package main

import (
	"bytes"
	"encoding/pem"
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

// userTrust is whom the command would trust without us.
type userTrust struct {
	base []byte            // Certificates of the system, or of the user's SSL_CERT_FILE.
	own  map[string][]byte // Those of the other variables that the user has set.
}

// readTrust reads the user's authorities.
func readTrust(s streams, getenv func(string) string) (u userTrust, err error) {
	if path := getenv("SSL_CERT_FILE"); path != "" {
		u.base, err = readNamed(s, "SSL_CERT_FILE", path)
	} else {
		u.base = readSystem(s)
	}
	u.own = map[string][]byte{}
	for _, variable := range []string{"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTPLIB2_CA_CERTS", "NODE_EXTRA_CA_CERTS"} {
		if path := getenv(variable); path != "" && err == nil {
			u.own[variable], err = readNamed(s, variable, path)
		}
	}
	return u, err
}

// readNamed returns the authorities of a file or folder that the user has named.
func readNamed(s streams, variable, path string) ([]byte, error) {
	text, err := readBundle(path)
	if err != nil {
		return nil, usagef("%s: %w", variable, err)
	}
	if len(text) == 0 {
		fmt.Fprintf(s.err, "doppelbox: warning: %s: there is no certificate in %q\n", variable, path)
	}
	return text, nil
}

// readSystem returns the authorities that this system trusts.
func readSystem(s streams) []byte {
	for _, path := range systemBundles {
		text, err := readBundle(path)
		if err == nil && len(text) > 0 {
			return text
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(s.err, "doppelbox: warning: %s\n", oneLine(err.Error()))
		}
	}
	fmt.Fprintln(s.err, "doppelbox: warning: this system has no file of authorities: the command trusts ours alone")
	return nil
}

// trustMaker writes the files.
type trustMaker struct {
	dir  string
	ours []byte
}

// writeTrust writes files with the user's authorities and ours to a folder.
func writeTrust(dir string, u userTrust, ours []byte) (f trustFiles, err error) {
	m := trustMaker{dir, ours}
	if f.ca, err = m.write("ca.pem", nil); err != nil {
		return f, err
	}
	if f.bundle, err = m.write("ca-bundle.pem", u.base); err != nil {
		return f, err
	}
	if f.java, err = m.writeTrustStore(slices.Concat(u.base, m.ours)); err != nil {
		return f, err
	}
	f.requests, f.curl, f.httplib2, f.node = f.bundle, f.bundle, f.bundle, f.ca
	for _, v := range []struct {
		variable, name string
		file           *string
	}{
		{"CURL_CA_BUNDLE", "curl.pem", &f.curl},
		{"REQUESTS_CA_BUNDLE", "requests.pem", &f.requests},
		{"HTTPLIB2_CA_CERTS", "httplib2.pem", &f.httplib2},
		{"NODE_EXTRA_CA_CERTS", "node.pem", &f.node},
	} {
		if text, set := u.own[v.variable]; set {
			if *v.file, err = m.write(v.name, text); err != nil {
				return f, err
			}
		}
	}
	if _, set := u.own["REQUESTS_CA_BUNDLE"]; !set {
		f.requests = f.curl // Python's requests heeds that variable where its own is not set.
	}
	return f, nil
}

// write writes authorities and ours to a file, and returns its path.
func (m trustMaker) write(name string, base []byte) (string, error) {
	return m.writeFile(name, slices.Concat(base, m.ours))
}

// writeFile writes a file that everybody may read, whatever the user's mask: the
// command may go on as another user, and certificates are public.
func (m trustMaker) writeFile(name string, data []byte) (string, error) {
	path := filepath.Join(m.dir, name)
	if err := errors.Join(os.WriteFile(path, data, 0o644), os.Chmod(path, 0o644)); err != nil {
		return "", faultError{err}
	}
	return path, nil
}

// readBundle reads the certificates of a file of authorities, or, as OpenSSL and
// Python's requests have them, those of all files of a folder.
func readBundle(path string) ([]byte, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return readAuthorities(path) // It is no folder, or nothing at all.
	}
	var text []byte
	seen := map[string]bool{} // A folder has most of them twice, under a hash of their name.
	for _, e := range entries {
		one, err := readAuthorities(filepath.Join(path, e.Name()))
		if err == nil && !seen[string(one)] {
			seen[string(one)] = true
			text = append(text, one...)
		}
	}
	return text, nil
}

// readAuthorities reads the certificates of a file.
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
	return onlyCertificates(text), nil
}

// onlyCertificates is what a PEM text has of certificates. What else is in it
// is not for everybody: some programs keep the key of their authority beside it.
func onlyCertificates(text []byte) []byte {
	var kept bytes.Buffer
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE": // As OpenSSL has them.
			_ = pem.Encode(&kept, &pem.Block{Type: block.Type, Bytes: block.Bytes}) // A buffer takes all.
		}
	}
	return kept.Bytes()
}
