package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// javaPassword is that of Java's own trust stores. Ours needs none: what is in
// it is public. But programs that open it themselves may insist on one.
const javaPassword = "changeit"

// writeTrustStore writes the authorities of a PEM text as a trust store for
// Java, which reads no PEM. It is neither encrypted nor sealed, which every Java
// since 8 reads and which takes the least time. What is no certificate is left
// out: Java would refuse the whole file.
func (m trustMaker) writeTrustStore(text []byte) (string, error) {
	var entries []pkcs12.TrustStoreEntry
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			// Names must differ, and subjects need not.
			entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: fmt.Sprintf("authority %d", len(entries)+1)})
		}
	}
	data, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
	if err != nil {
		return "", faultError{err}
	}
	return m.writeFile("truststore.p12", data)
}

// javaEnv are the variables with options for every Java machine that is started,
// each with ours after those that the user has set: of two that say the same, the
// later one counts. A trust store that the user has named is so replaced. What
// is in JDK_JAVA_OPTIONS, which the java command reads, and in _JAVA_OPTIONS
// counts for more than what is in JAVA_TOOL_OPTIONS, so where they speak of the
// same things they get ours, too.
func javaEnv(getenv func(string) string, proxy net.Addr, store string, bypass []string) []string {
	ours := javaOptions(proxy, store, bypass)
	env := []string{"JAVA_TOOL_OPTIONS=" + strings.TrimSpace(getenv("JAVA_TOOL_OPTIONS")+" "+ours)}
	for _, name := range []string{"JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"} {
		user := getenv(name)
		if strings.Contains(user, "javax.net.ssl.") || strings.Contains(user, "https.proxy") || strings.Contains(user, "http.nonProxyHosts") {
			env = append(env, name+"="+user+" "+ours)
		}
	}
	return env
}

// javaOptions are the options that lead to our proxy and trust our authority.
func javaOptions(proxy net.Addr, store string, bypass []string) string {
	host, port, _ := net.SplitHostPort(proxy.String()) // An address of ours has both.
	options := []string{
		"-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStoreType=PKCS12", "-Djavax.net.ssl.trustStorePassword=" + javaPassword,
		"-Dhttps.proxyHost=" + host, "-Dhttps.proxyPort=" + port, "-Dhttp.nonProxyHosts=" + strings.Join(nonProxyHosts(bypass), "|"),
	}
	for i := range options {
		options[i] = javaQuoted(options[i])
	}
	return strings.Join(options, " ")
}

// javaQuoted quotes a word as all of these variables have it: between quotes of one
// kind, in which nothing is special but the quote itself.
func javaQuoted(word string) string {
	if !strings.ContainsAny(word, " \t\n\v\f\r\"'") {
		return word
	}
	// A quote ends where one of its kind stands, and words may be quoted in
	// parts.
	return `"` + strings.ReplaceAll(word, `"`, `"'"'"`) + `"`
}

// nonProxyHosts are entries of NO_PROXY in Java's form, which has an asterisk
// for any beginning or end. Networks have none. What programs make nothing of, a
// URL or an asterisk elsewhere than in front, must not come to mean something
// there, such as a host that our proxy answers for.
func nonProxyHosts(bypass []string) []string {
	var list []string
	for _, entry := range bypass {
		if strings.Contains(entry, "://") || strings.ContainsAny(strings.TrimLeft(entry, "*."), "*|") {
			continue
		}
		host, _, err := net.SplitHostPort(entry)
		if err != nil {
			host = strings.Trim(entry, "[]")
		}
		switch {
		case strings.Contains(host, "/") || covers(host) || host == "":
		case strings.Contains(host, ":"):
			list = append(list, "["+host+"]")
		case net.ParseIP(host) != nil || host == "localhost":
			list = append(list, host)
		default:
			domain := strings.TrimLeft(host, "*.")
			if domain == host {
				list = append(list, host)
			}
			list = append(list, "*."+domain)
		}
	}
	return list
}
