package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/station/ifpp"
)

// TestFactoryFiles goes through the files of in-factory provisioning as people
// do: the maker's data, the binding request, the batch, the loading report; on a
// store, and on a running station.
func TestFactoryFiles(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "euiccs.json")
	p := startModules(t, "--count", "2", "--one-time-keys", "3", "--maker-data", data)
	eids := "eid\n"
	for _, m := range p.start.Modules {
		eids += string(m.EID) + "\n"
	}
	p.end()
	list := filepath.Join(dir, "eids.csv")
	if err := os.WriteFile(list, []byte(eids), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("store", func(t *testing.T) {
		f := &factoryFiles{bench: newBench(t), t: t, data: data, eids: list, last: string(p.start.Modules[1].EID), dir: t.TempDir()}
		f.work("--store", f.bench.dir)
	})
	t.Run("socket", func(t *testing.T) {
		f := &factoryFiles{bench: newBench(t), t: t, data: data, eids: list, last: string(p.start.Modules[1].EID), dir: t.TempDir()}
		ca, err := simAuthority()
		if err != nil {
			t.Fatal(err)
		}
		pki, err := ca.Server()
		if err != nil {
			t.Fatal(err)
		}
		if f.bench.issuers, err = rsp.ParseCertificates(pki.RootPEM()); err != nil {
			t.Fatal(err)
		}
		socket := filepath.Join(t.TempDir(), "s")
		f.bench.open(func(s *store.Store) {
			f.bench.serve(s, socket, func() { f.work("--address", "unix:"+socket) })
		})
	})
}

type factoryFiles struct {
	bench      *bench
	t          *testing.T
	data, eids string
	last       string // EID in the list
	dir        string
	canaries   []string
}

func (f *factoryFiles) path(name string) string { return filepath.Join(f.dir, name) }

func (f *factoryFiles) work(where ...string) {
	b := f.bench
	at := func(args ...string) []string { return append(args, where...) }
	lead := func(args ...string) []string { return append(at(args...), "--by", "anna", "--role", "lead") }
	request, batch, state, report := f.path("request.json"), f.path("batch.json"), f.path("smdp.state"), f.path("report.json")

	b.linefit(2, "--ifpp needs --data", at("profiles", "request", f.eids, "--ifpp")...)
	stranger := b.file("other.csv", "eid\n89049032123451234512345678901235\n")
	b.linefit(2, "have no such eUICC", at("profiles", "request", stranger, "--ifpp", "--data", f.data)...)
	b.linefit(2, "eids.csv:3:1: EID "+f.last+": 3 one-time keys are unused, 9 are needed", at("profiles", "request", f.eids, "--ifpp", "--data", f.data, "--packages", "9")...)
	b.linefit(0, "4 packages for 2 eUICCs", at("profiles", "request", f.eids, "--ifpp", "--data", f.data, "--packages", "2", "--order", "PO-7", "--out", request)...)
	b.linefit(0, "4 packages for 2 eUICCs", "sim", "smdp", "prepare", "--eids", request, "--out", batch, "--state", state)
	ci := batch + ".ci.pem"
	f.canaries = secretsOf(f.t, batch)

	trusted := func(args ...string) []string {
		if where[0] == "--store" {
			return append(lead(args...), "--ci", ci)
		}
		return lead(args...) // the station has its own issuers
	}
	if where[0] == "--store" {
		b.linefit(2, "none of the issuers", lead("profiles", "import", batch)...)
	}
	b.linefit(2, "is on no list of this line's eUICCs", trusted("profiles", "import", batch, "--eids", stranger)...)
	f.refusals(batch, trusted)
	b.linefit(0, "4 profiles imported", trusted("profiles", "import", batch, "--eids", f.eids)...)
	b.linefit(2, "is in the stock already", trusted("profiles", "import", batch)...)
	b.linefit(0, "4 available", at("profiles", "list")...)
	b.linefit(0, "nothing is lacking", at("profiles", "request", f.eids, "--ifpp", "--data", f.data, "--packages", "2")...)
	b.linefit(0, `"packages": 1`, at("profiles", "request", f.eids, "--ifpp", "--data", f.data, "--operator", "nobody", "--json")...)

	b.linefit(0, "4 packages: 0 installed, 0 failed, 0 without a result, 4 unused", at("profiles", "report", "--out", report, "--data", f.data, "--ci", ci)...)
	b.linefit(0, "every result is signed", "profiles", "check", report, "--data", f.data, "--ci", ci)
	b.linefit(0, "4 waiting, 0 refused", "sim", "smdp", "report", report, "--state", state)
	f.forged(report)
	f.edited(report)
	b.linefit(2, "", "profiles", "check", batch, "--data", f.data)
	f.silent()
}

// refusals are batches with mistakes: all of them are told, nothing is taken in.
func (f *factoryFiles) refusals(batch string, trusted func(...string) []string) {
	f.t.Helper()
	text, err := os.ReadFile(batch)
	if err != nil {
		f.t.Fatal(err)
	}
	var b smdpsim.Batch
	if err := json.Unmarshal(text, &b); err != nil {
		f.t.Fatal(err)
	}
	b.Packages[0].Package[len(b.Packages[0].Package)-1] ^= 1 // sealed by the batch's signature only
	b.Packages[1].OneTimeKey = b.Packages[0].OneTimeKey
	b.Packages[2].Package = b.Packages[2].Package[:40]
	b.Packages[3].ICCID = b.Packages[2].ICCID
	broken, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		f.t.Fatal(err)
	}
	file := f.bench.file("broken.json", string(broken))
	for _, want := range []string{
		"the signature does not verify", "packages[1].one_time_key: is the key of package 0 too", "packages[1].bound_profile_package: the package is not bound",
		"packages[2].bound_profile_package: the package is not bound", "packages[3].iccid", "is that of package 2 too",
	} {
		f.bench.linefit(2, want, trusted("profiles", "import", file)...)
	}
	// Cut off; a package twice; signed under another CI.
	f.bench.linefit(2, "cut.json:", trusted("profiles", "import", f.bench.file("cut.json", string(text[:len(text)*2/3])))...)
	b = smdpsim.Batch{}
	if err := json.Unmarshal(text, &b); err != nil {
		f.t.Fatal(err)
	}
	b.Packages = append(b.Packages, b.Packages[0])
	doubled, err := json.Marshal(b)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, want := range []string{"the signature does not verify", "packages[4].iccid", "is that of package 0 too", "packages[4].one_time_key: is the key of package 0 too"} {
		f.bench.linefit(2, want, trusted("profiles", "import", f.bench.file("doubled.json", string(doubled)))...)
	}
	f.foreign(b, trusted)
	f.bench.linefit(0, "0 profiles: 0 available", append([]string{"profiles", "list"}, trusted()[:2]...)...)
}

// foreign are batches under certificates that do not count here.
func (f *factoryFiles) foreign(b smdpsim.Batch, trusted func(...string) []string) {
	f.t.Helper()
	ca, err := simAuthority()
	if err != nil {
		f.t.Fatal(err)
	}
	other, err := testpki.New([]byte("another CI"))
	if err != nil {
		f.t.Fatal(err)
	}
	strange, err := other.Server()
	if err != nil {
		f.t.Fatal(err)
	}
	expired, err := ca.ServerWith(testpki.RoleDPPB, testpki.DefectExpired)
	if err != nil {
		f.t.Fatal(err)
	}
	for want, cert := range map[string][]byte{"none of the issuers": strange.PB.Cert.Raw, "it is valid from 1999-01-01 to 1999-06-01": expired.PB.Cert.Raw} {
		b.Certificate = cert
		text, err := json.Marshal(b)
		if err != nil {
			f.t.Fatal(err)
		}
		f.bench.linefit(2, want, trusted("profiles", "import", f.bench.file("foreign.json", string(text)))...)
	}
}

// forged is a report that says what no eUICC signed.
func (f *factoryFiles) forged(report string) {
	f.t.Helper()
	text, err := os.ReadFile(report)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := ifpp.ReadReport(report, text)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Packages[0].Status, r.Packages[0].Why = ifpp.Installed, ""
	file := f.bench.file("forged.json", string(reportText(f.t, r)))
	f.bench.linefit(1, "packages[0]: the signed result does not fit its package", "profiles", "check", file, "--data", f.data)
	f.bench.linefit(1, "1 refused", "sim", "smdp", "report", file, "--state", f.path("smdp.state"))
}

func reportText(t *testing.T, r *ifpp.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// edited are reports that were changed after the station wrote them, in rows that
// no eUICC signs: each is named, with the station's key even where the seal went
// too.
func (f *factoryFiles) edited(report string) {
	f.t.Helper()
	key, err := audit.LoadOrCreateKey(f.bench.dir+".audit.key", "linefit.test/bench")
	if err != nil {
		f.t.Fatal(err)
	}
	other, err := audit.LoadOrCreateKey(f.path("other.key"), "linefit.test/other")
	if err != nil {
		f.t.Fatal(err)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		f.t.Fatal(err)
	}
	f.bench.linefit(0, "every result is signed", "profiles", "check", report, "--data", f.data, "--key", key.VKey())
	f.bench.linefit(1, `is of log "linefit.test/bench", the key of "linefit.test/other"`, "profiles", "check", report, "--data", f.data, "--key", other.VKey())
	for name, edit := range map[string]func(*ifpp.Report){
		"another reason":  func(r *ifpp.Report) { r.Packages[0].Why = "scrapped" },
		"another state":   func(r *ifpp.Report) { r.Packages[0].State = "installed" },
		"another station": func(r *ifpp.Report) { r.Station = "elsewhere" },
		"may ship":        func(r *ifpp.Report) { r.EUICCs[0].MayShip = true },
		"a row less":      func(r *ifpp.Report) { r.Packages = r.Packages[1:]; r.Counts.Packages--; r.Counts.Unused-- },
		"an eUICC less":   func(r *ifpp.Report) { r.EUICCs = r.EUICCs[1:]; r.Counts.EUICCs--; r.Counts.NotSeen-- },
		"another order":   func(r *ifpp.Report) { r.Packages[0], r.Packages[1] = r.Packages[1], r.Packages[0] },
	} {
		r, err := ifpp.ReadReport(report, text)
		if err != nil {
			f.t.Fatal(err)
		}
		edit(r)
		file := f.bench.file("edited.json", string(reportText(f.t, r)))
		f.t.Log(name)
		f.bench.linefit(1, "the file was changed after log", "profiles", "check", file, "--data", f.data)
		r.Seal = nil
		if r.Seal, err = audit.Seal("loading report", sha256.Sum256(reportText(f.t, r)), other); err != nil {
			f.t.Fatal(err)
		}
		file = f.bench.file("edited.json", string(reportText(f.t, r)))
		f.bench.linefit(1, "seal does not hold", "profiles", "check", file, "--data", f.data, "--key", key.VKey())
		r.Seal = nil
		file = f.bench.file("edited.json", string(reportText(f.t, r)))
		f.bench.linefit(1, "the report has no seal", "profiles", "check", file, "--data", f.data, "--key", key.VKey())
	}
}

// secretsOf are texts that only the packages of a batch have.
func secretsOf(t *testing.T, batch string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(batch)
	if err != nil {
		t.Fatal(err)
	}
	var b smdpsim.Batch
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.Packages {
		middle := p.Package[len(p.Package)/2:][:24]
		out = append(out, string(middle), fmt.Sprintf("%x", middle), fmt.Sprintf("%X", middle), base64.StdEncoding.EncodeToString(middle))
	}
	return out
}

// silent looks for packages in everything that the station wrote.
func (f *factoryFiles) silent() {
	f.t.Helper()
	err := filepath.WalkDir(f.bench.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, c := range f.canaries {
			if strings.Contains(string(text), c) {
				f.t.Errorf("%s has the bytes of a package", path)
			}
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}
