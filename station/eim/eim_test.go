package eim_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/modem/wire"
	"linefit/station/eim"
)

// spki is a public key on a curve, DER.
func spki(t testing.TB, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// der is an EimConfigurationData with a key; more comes behind the counter.
func der(t testing.TB, id string, key []byte, token []byte) []byte {
	t.Helper()
	n, err := wire.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	return wire.TLV(0x30, wire.TLV(0x80, []byte(id)), wire.TLV(0x81, []byte("eim.example.com")), wire.Integer(0x82, 2),
		wire.Integer(0x83, 7), token, wire.TLV(0xA5, wire.TLV(0xA0, n.Value)), wire.BitString(0x87, 0, 1))
}

func TestFormsOfDER(t *testing.T) {
	key := spki(t, elliptic.P256())
	a, b := der(t, "a.example", key, wire.Integer(0x84, -1)), der(t, "b.example", key, nil)
	both := bytes.Join([][]byte{a, b}, nil)
	for name, data := range map[string][]byte{
		"behind one another": both, "list": wire.TLV(0xA0, both), "request": wire.TLV(0xBF57, wire.TLV(0xA0, both)), "response": wire.TLV(0xBF55, wire.TLV(0xA0, both)),
		"sequence": wire.TLV(0x30, both), "hexadecimal": []byte(hex.EncodeToString(both) + "\n"), "base64": []byte(base64.StdEncoding.EncodeToString(both)),
	} {
		list, err := eim.Parse("eim.der", data)
		if err != nil || len(list) != 2 {
			t.Errorf("%s: %v, %v", name, list, err)
			continue
		}
		c := list[0]
		if !bytes.Equal(c.Raw, a) || c.ID != "a.example" || c.FQDN != "eim.example.com" || c.IDType != eim.TypeFQDN || c.Counter != 7 || !c.Token || list[1].Token ||
			!bytes.Equal(c.Key, key) || len(c.Protocol) != 2 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestJSONGivesTheSameBytes(t *testing.T) {
	key := spki(t, elliptic.P256())
	object := map[string]any{
		"eimId": "a.example", "eimFqdn": "eim.example.com", "eimIdType": "eimIdTypeFqdn", "counterValue": 7, "associationToken": -1,
		"eimPublicKeyData":     map[string]string{"eimPublicKey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))},
		"eimSupportedProtocol": []string{"eimRetrieveHttps", "eimRetrieveCoaps"},
	}
	want := der(t, "a.example", key, wire.Integer(0x84, -1))
	for name, v := range map[string]any{"object": object, "array": []any{object}, "list": map[string]any{"eimConfigurationDataList": []any{object}}} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		list, err := eim.Parse("eim.json", data)
		if err != nil || len(list) != 1 || !bytes.Equal(list[0].Raw, want) {
			t.Errorf("%s: %v\n got %+v\nwant %X", name, err, list, want)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	wrong := base64.StdEncoding.EncodeToString(spki(t, elliptic.P384()))
	text := fmt.Sprintf(`{"eimConfigurationDataList": [
  {"eimId": "a.example",
   "eimIdType": "eimIdTypeOid",
   "counterValue": 1,
   "associationToken": 5,
   "eimPublicKeyData": {"eimPublicKey": %q}},
  {"eimId": "b.example",
   "eimFqdn": "not a host",
   "counterValue": 2,
   "eimPublicKeyData": {"eimPublicKey": "MTIz"}}
]}`, wrong)
	_, err := eim.Parse("eim.json", []byte(text))
	var found strictyaml.Problems
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"eim.json:3:4: eimConfigurationDataList[0].eimIdType: says OID", "eim.json:5:4: eimConfigurationDataList[0].associationToken: only -1",
		"eim.json:6:4: eimConfigurationDataList[0].eimPublicKeyData: the key is not on the curve P-256",
		"eim.json:10:4: eimConfigurationDataList[1].eimPublicKeyData: neither a public key nor a certificate",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestShapeOfJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"eimId": "a"}`: "missing properties", `{"eimid": "a", "counterValue": 1}`: "eimid: this key is not known here",
		`{"eimId": "", "counterValue": 9000000, "eimPublicKeyData": {"eimPublicKey": "x", "eimCertificate": "y"}}`: "maximum",
		`[]`: "minItems", `{`: "eim.json:1", `{"eimId": "a", "counterValue": 1, "eimPublicKeyData": {"eimPublicKey": "-----BEGIN EC PRIVATE KEY-----\nMTIz\n-----END EC PRIVATE KEY-----"}}`: "private key",
	} {
		if _, err := eim.Parse("eim.json", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestRefusedDER(t *testing.T) {
	key := spki(t, elliptic.P256())
	good := der(t, "a.example", key, nil)
	n, err := wire.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := n.Children()
	if err != nil {
		t.Fatal(err)
	}
	without := func(tag wire.Tag) []byte {
		var b []byte
		for _, p := range parts {
			if p.Tag != tag {
				b = append(b, p.Raw...)
			}
		}
		return wire.TLV(0x30, b)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing": {nil, "0 eIMs"}, "text": {[]byte("hello"), "neither JSON nor"}, "other tag": {wire.TLV(0x31), "tag 31"}, "truncated": {good[:len(good)-1], "input ends"},
		"no id": {without(0x80), "eimId: is missing"}, "no counter": {without(0x83), "counterValue: is missing"}, "no key": {without(0xA5), "eimPublicKeyData: is missing"},
		"twice":        {append(bytes.Clone(good), good...), `eIM "a.example" stands twice`},
		"order":        {wire.TLV(0x30, wire.Integer(0x83, 1), wire.TLV(0x80, []byte("a"))), "stands behind counterValue"},
		"unknown":      {wire.TLV(0x30, n.Value, wire.TLV(0x8F)), "8F is not known"},
		"counter":      {bytes.Replace(good, wire.Integer(0x83, 7), wire.TLV(0x83, []byte{0x00, 0x80, 0x00, 0x00})[:3], 1), ""},
		"control":      {wire.TLV(0x30, wire.TLV(0x80, []byte("a\x00"))), "printable"},
		"element gone": {wire.TLV(0x30, wire.TLV(0x80, []byte("a"))[:2]), ""},
	} {
		list, err := eim.Parse("eim.der", c.data)
		if err == nil || list != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	key := spki(f, elliptic.P256())
	f.Add(der(f, "a.example", key, wire.Integer(0x84, -1)))
	f.Add([]byte(`[{"eimId":"a","counterValue":1,"eimPublicKeyData":{"eimPublicKey":"MTIz"}}]`))
	f.Add([]byte("BF570AA00830068001618301 01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := eim.Parse("f", data)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%v, %v", list, err)
		}
		for _, c := range list {
			again, err := eim.Parse("f", c.Raw)
			if err != nil || len(again) != 1 || again[0].ID != c.ID || again[0].Counter != c.Counter {
				t.Fatalf("%X does not come back: %v", c.Raw, err)
			}
		}
	})
}
