package eim

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
	"linefit/modem/wire"
)

//go:embed schema.json
var schemaText string

// Schema is the JSON Schema of the JSON form.
func Schema() string { return schemaText }

var compiled = sync.OnceValue(func() *jsonschema.Schema { return strictyaml.Compile("eim.json", schemaText) })

// protocols are the bits of eimSupportedProtocol.
var protocols = []string{"eimRetrieveHttps", "eimRetrieveCoaps", "eimInjectHttps", "eimInjectCoaps", "eimProprietary"}

var idTypes = map[string]IDType{"eimIdTypeOid": TypeOID, "eimIdTypeFqdn": TypeFQDN, "eimIdTypeProprietary": TypeProprietary}

// keyData is a choice of key and certificate.
type keyData struct {
	EIMPublicKey          string `yaml:"eimPublicKey"`
	EIMCertificate        string `yaml:"eimCertificate"`
	TrustedEIMPkTLS       string `yaml:"trustedEimPkTls"`
	TrustedCertificateTLS string `yaml:"trustedCertificateTls"`
}

// object is one configuration in JSON.
type object struct {
	EIMID                   string   `yaml:"eimId"`
	EIMFqdn                 string   `yaml:"eimFqdn"`
	EIMIDType               any      `yaml:"eimIdType"`
	CounterValue            *int64   `yaml:"counterValue"`
	AssociationToken        *int64   `yaml:"associationToken"`
	EIMPublicKeyData        keyData  `yaml:"eimPublicKeyData"`
	TrustedPublicKeyDataTLS *keyData `yaml:"trustedPublicKeyDataTls"`
	EIMSupportedProtocol    []string `yaml:"eimSupportedProtocol"`
	EUICCCiPKID             string   `yaml:"euiccCiPKId"`
	IndirectProfileDownload bool     `yaml:"indirectProfileDownload"`
}

// parseJSON reads the JSON form; problems stand with their lines.
func parseJSON(file string, data []byte) ([]Configuration, strictyaml.Problems) {
	if p := rough(file, data); p != nil {
		return nil, p
	}
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, asProblems(file, err)
	}
	if found := doc.Validate(compiled()); len(found) > 0 {
		return nil, found
	}
	objects, at, err := objectsOf(doc)
	if err != nil {
		return nil, asProblems(file, err)
	}
	var list []Configuration
	var found strictyaml.Problems
	for i, o := range objects {
		c, bad := o.configuration()
		for _, b := range bad {
			path := at(i)
			if b.field != "" {
				path = append(path, b.field)
			}
			found = append(found, doc.Problem(path, "%s", b.text))
		}
		list = append(list, c)
	}
	return list, found
}

// Bounds of a JSON file, so that a hostile one costs little.
const (
	maxDepth  = 8
	maxTokens = 4000
)

// rough finds what is no JSON at all, or none of a reasonable shape.
func rough(file string, data []byte) strictyaml.Problems {
	dec := json.NewDecoder(bytes.NewReader(data))
	depth, tokens := 0, 0
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		at := min(int(dec.InputOffset()), len(data))
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		fail := func(format string, args ...any) strictyaml.Problems {
			p := problem(file, at-1-bytes.LastIndexByte(data[:at], '\n'), "", format, args...)
			p.Line = line
			return strictyaml.Problems{p}
		}
		if err != nil {
			return fail("%v", err)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if tokens++; depth > maxDepth || tokens > maxTokens {
			return fail("this is no eIM configuration data: more than %d levels or %d values", maxDepth, maxTokens)
		}
	}
	if depth != 0 {
		return one(file, "the JSON ends too early")
	}
	return nil
}

func asProblems(file string, err error) strictyaml.Problems {
	var found strictyaml.Problems
	if errors.As(err, &found) {
		return found
	}
	return one(file, "%v", err)
}

// objectsOf reads the three shapes of a file; at is the path of an object.
func objectsOf(doc *strictyaml.Doc) (objects []object, at func(i int) []string, err error) {
	var list struct {
		List []object `yaml:"eimConfigurationDataList"`
	}
	if doc.Decode(&list) == nil && list.List != nil {
		return list.List, func(i int) []string { return strictyaml.Path("eimConfigurationDataList", i) }, nil
	}
	if doc.Decode(&objects) == nil && len(objects) > 0 {
		return objects, func(i int) []string { return strictyaml.Path(i) }, nil
	}
	objects = make([]object, 1)
	return objects, func(int) []string { return nil }, doc.Decode(&objects[0])
}

// configuration makes the DER of an object and reads it as if it had come so.
func (o object) configuration() (Configuration, []mistake) {
	var parts [][]byte
	var bad []mistake
	add := func(field string, part []byte, err error) {
		if err != nil {
			bad = append(bad, mistake{field: field, text: err.Error()})
			return
		}
		parts = append(parts, part)
	}
	add("eimId", wire.TLV(tagID, []byte(o.EIMID)), nil)
	if o.EIMFqdn != "" {
		add("eimFqdn", wire.TLV(tagFQDN, []byte(o.EIMFqdn)), nil)
	}
	if t := idType(o.EIMIDType); t != 0 {
		add("eimIdType", wire.Integer(tagIDType, int64(t)), nil)
	}
	if o.CounterValue != nil {
		add("counterValue", wire.Integer(tagCounter, *o.CounterValue), nil)
	}
	if o.AssociationToken != nil {
		add("associationToken", wire.Integer(tagToken, *o.AssociationToken), nil)
	}
	key, err := o.EIMPublicKeyData.choice(tagKey, o.EIMPublicKeyData.EIMPublicKey, o.EIMPublicKeyData.EIMCertificate)
	add("eimPublicKeyData", key, err)
	if t := o.TrustedPublicKeyDataTLS; t != nil {
		anchor, err := t.choice(tagTLS, t.TrustedEIMPkTLS, t.TrustedCertificateTLS)
		add("trustedPublicKeyDataTls", anchor, err)
	}
	if o.EIMSupportedProtocol != nil {
		var bits []int
		for _, name := range o.EIMSupportedProtocol {
			bits = append(bits, slices.Index(protocols, name))
		}
		add("eimSupportedProtocol", wire.BitString(tagProtocol, bits...), nil)
	}
	if o.EUICCCiPKID != "" {
		id, err := hex.DecodeString(o.EUICCCiPKID)
		add("euiccCiPKId", wire.TLV(tagCI, id), err)
	}
	if o.IndirectProfileDownload {
		add("indirectProfileDownload", wire.TLV(tagIndirect), nil)
	}
	if len(bad) > 0 {
		return Configuration{}, bad
	}
	n, err := wire.Parse(wire.TLV(0x30, parts...))
	if err != nil {
		return Configuration{}, []mistake{{text: err.Error()}}
	}
	return readDER(n)
}

func idType(v any) IDType {
	switch v := v.(type) {
	case string:
		return idTypes[v]
	case uint64:
		return IDType(v)
	case int64:
		return IDType(v)
	}
	return 0
}

// choice is a key (A0) or a certificate (A1) under its tag.
func (keyData) choice(tag wire.Tag, key, certificate string) ([]byte, error) {
	text, in := key, wire.Tag(0xA0)
	if certificate != "" {
		text, in = certificate, 0xA1
	}
	der, err := material(text)
	if err != nil {
		return nil, err
	}
	n, err := wire.ParseTag(der, 0x30)
	if err != nil {
		return nil, errNoKey
	}
	return wire.TLV(tag, wire.TLV(in, n.Value)), nil
}

// material is the DER of PEM or base64.
func material(text string) ([]byte, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if strings.Contains(block.Type, "PRIVATE") {
			return nil, errors.New("this is a private key: whoever has it can manage every unit; tell the eIM's operator")
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil || len(der) == 0 {
		return nil, errors.New("neither PEM nor base64")
	}
	return der, nil
}
