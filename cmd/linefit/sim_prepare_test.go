package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
)

func TestSimSmdpPrepare(t *testing.T) {
	ca, err := simAuthority()
	if err != nil {
		t.Fatal(err)
	}
	eid, err := ident.EIDWithCheck("890490320000000000000000000007")
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := ca.Card(eid)
	if err != nil {
		t.Fatal(err)
	}
	card, err := euiccsim.New(euiccsim.Options{PKI: credentials, Image: &euiccsim.MemoryImage{}, OneTimeKeys: 2})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := card.OneTimeKeys()
	if err != nil {
		t.Fatal(err)
	}
	asked := smdpsim.RequestedCard{EID: eid, Certificate: credentials.Cert.Raw, EUM: credentials.EUM.Raw}
	for _, k := range keys {
		asked.Keys = append(asked.Keys, smdpsim.OneTimeKey{Number: k.Number, PublicKey: k.PublicKey})
	}
	dir := t.TempDir()
	file, out, state := filepath.Join(dir, "eids.json"), filepath.Join(dir, "batch.json"), filepath.Join(dir, "state")
	text, err := json.Marshal(smdpsim.BindingRequest{Format: smdpsim.RequestFormat, EUICCs: []smdpsim.RequestedCard{asked}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := []string{"sim", "smdp", "prepare", "--eids", file, "--out", out, "--per-eid", "2", "--state", state, "--first", "40", "--json"}
	if code := run(context.Background(), args, nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var said simBatch
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil || said.Packages != 2 || said.EUICCs != 1 {
		t.Errorf("%s, %v", stdout.String(), err)
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var batch smdpsim.Batch
	if err := json.Unmarshal(written, &batch); err != nil || !batch.Verify() || batch.Packages[1].ICCID != smdpsim.GeneratedICCID(41) {
		t.Errorf("batch: %v", err)
	}
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	// The server on the same state knows the orders; the keys are spent.
	p := startSmdp(t, "--state", state, "--count", "0")
	if len(p.start.Profiles) != 2 || p.start.Profiles[0].State != "downloaded" {
		t.Errorf("%+v", p.start.Profiles)
	}
	stderr.Reset()
	if code := run(context.Background(), args, nil, &stdout, &stderr); code != exitMissing {
		t.Errorf("while a server has the state: exit %d, %s", code, stderr.String())
	}
	_ = p.stop()
	stderr.Reset()
	if code := run(context.Background(), args, nil, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "was used") {
		t.Errorf("keys again: exit %d, %s", code, stderr.String())
	}
	stderr.Reset()
	twice := filepath.Join(dir, "twice.json")
	if err := os.WriteFile(twice, []byte("{\"format\": \"linefit-binding-request/1\",\n \"euiccs\": [],\n \"euiccs\": []}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(context.Background(), []string{"sim", "smdp", "prepare", "--eids", twice, "--out", out}, nil, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "twice.json:3:2: ") {
		t.Errorf("a member twice: exit %d, %s", code, stderr.String())
	}
	stderr.Reset()
	args = []string{"sim", "smdp", "prepare", "--eids", out, "--out", out, "--pki", dir, "--profiles", dir, "--per-eid", "0"}
	if code := run(context.Background(), args, nil, &stdout, &stderr); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	for _, s := range []string{"format", "ci.der", "no profile package", "--per-eid"} {
		if !strings.Contains(stderr.String(), s) {
			t.Errorf("%q is not in\n%s", s, stderr.String())
		}
	}
}
