//go:build peers

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needJava makes sure that Java can run a program from its source.
func needJava(t *testing.T) (java string) {
	t.Helper()
	needDebianFor(t, "Java, with its compiler", func() (err error) {
		if _, err = exec.LookPath("javac"); err != nil {
			return err
		}
		java, err = exec.LookPath("java")
		return err
	}, "default-jdk-headless")
	return java
}

// TestPeersExecJava holds that both clients of Java, told of nothing but by its
// environment, get our keys from Google's hosts, and reach this machine and no
// other host.
func TestPeersExecJava(t *testing.T) {
	t.Parallel()
	java := needJava(t)
	binary, err := filepath.Abs("../../.bin/doppelbox")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(peerData(t), "Certs.java")
	run := func(code int, urls string) string {
		// A folder with a space and quotes in its name, as a home folder may have.
		cmd := exec.CommandContext(peerContext(t), binary, "exec", "--dns=zone", "--", "sh", "-c", `exec "$@" `+urls, "sh", java, program)
		cmd.Env = append(cmd.Environ(), "TMPDIR="+spacedFolder(t), "JAVA_TOOL_OPTIONS=-Dour.own=kept",
			// What would lead past the proxy or trust others.
			"JDK_JAVA_OPTIONS=-Djavax.net.ssl.trustStore=nowhere", "_JAVA_OPTIONS=-Dhttp.nonProxyHosts=*", "NO_PROXY=.corp.example,www.googleapis*,https://accounts.google.com")
		return output(t, code, cmd)
	}
	got := run(0, `https://www.googleapis.com/oauth2/v1/certs https://www.googleapis.com/oauth2/v3/certs https://accounts.google.com/.well-known/openid-configuration $DOPPELBOX_CERTS`)
	for text, want := range map[string]int{
		"HttpURLConnection 200 application/json; charset=UTF-8\n":  4,
		"HttpClient 200 HTTP_2\n":                                  4,
		"-----BEGIN CERTIFICATE-----":                              2 * 2 * 2, // Two keys, two hosts, two clients.
		`"jwks_uri": "https://www.googleapis.com/oauth2/v3/certs"`: 2,
		"our.own=kept\n":                                           1,
	} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is there %d times and not %d in\n%s", text, n, want, got)
		}
	}
	if got := run(1, "https://shop.example/"); strings.Contains(got, "200") {
		t.Errorf("another host answered\n%s", got)
	}
}

// spacedFolder makes a folder whose name has to be quoted.
func spacedFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), `a "folder" of Alice's`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
