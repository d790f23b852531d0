package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// cosignatureType is the algorithm byte of a C2SP tlog-cosignature (v1) with
// Ed25519; the signature is a time in seconds, 8 bytes, and 64 bytes over the
// text "cosignature/v1", that time, and the checkpoint.
const cosignatureType = 4

// cosigned is what a witness signs.
func cosigned(at uint64, msg []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), msg...)
}

type witnessVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witnessVerifier) Name() string    { return w.name }
func (w witnessVerifier) KeyHash() uint32 { return w.hash }

// Verify implements note.Verifier.
func (w witnessVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(w.key, cosigned(binary.BigEndian.Uint64(sig), msg), sig[8:])
}

func witnessHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append(append([]byte(name), '\n', cosignatureType), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// ParseWitnessKey reads the verifier key of a witness: a C2SP vkey of the type
// 0x04.
func ParseWitnessKey(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(vkey), "+")
	id, text, _ := strings.Cut(rest, "+")
	hash, err := strconv.ParseUint(id, 16, 32)
	key, err2 := base64.StdEncoding.DecodeString(text)
	if err != nil || err2 != nil || len(id) != 8 || CheckOrigin(name) != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureType || uint32(hash) != witnessHash(name, key[1:]) {
		return nil, errors.New("audit: no verifier key of a witness (NAME+HASH+KEY, type 4)")
	}
	return witnessVerifier{name, uint32(hash), key[1:]}, nil
}

// A WitnessKey signs as a witness: it implements note.Signer.
type WitnessKey struct {
	witnessVerifier
	private ed25519.PrivateKey
	now     func() time.Time
}

// NewWitnessKey makes a witness's key of a seed of 32 bytes. now gives the time
// of a cosignature.
func NewWitnessKey(name string, seed []byte, now func() time.Time) (*WitnessKey, error) {
	if err := CheckOrigin(name); err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("audit: a witness's seed has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public, _ := private.Public().(ed25519.PublicKey)
	return &WitnessKey{witnessVerifier{name, witnessHash(name, public), public}, private, now}, nil
}

// VKey is the key's public half.
func (w *WitnessKey) VKey() string {
	return fmt.Sprintf("%s+%08x+%s", w.name, w.hash, base64.StdEncoding.EncodeToString(append([]byte{cosignatureType}, w.key...)))
}

// Sign implements note.Signer.
func (w *WitnessKey) Sign(msg []byte) ([]byte, error) {
	at := uint64(w.now().Unix())
	return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(w.private, cosigned(at, msg))...), nil
}

// maxCosignatures bounds a witness's answer, in bytes.
const maxCosignatures = 4096

// AddCosignature puts a witness's answer, one or more signature lines, behind a
// signed checkpoint. One of them must be the witness's own.
func AddCosignature(signed, lines []byte, witness note.Verifier) ([]byte, error) {
	bad := func(detail string) ([]byte, error) {
		return nil, &CheckpointError{Kind: ErrCheckpointSig, Detail: "cosignature of " + witness.Name() + ": " + detail}
	}
	if len(lines) > maxCosignatures || !bytes.HasPrefix(lines, []byte("\u2014 ")) || !bytes.HasSuffix(lines, []byte("\n")) {
		return bad("the answer is no signature line")
	}
	out := append(bytes.Clone(signed), lines...)
	n, err := note.Open(out, note.VerifierList(witness))
	if err != nil || len(n.Sigs) != 1 {
		return bad("it does not verify")
	}
	return out, nil
}

// Cosigners are the names of those of the witnesses whose cosignatures of a
// checkpoint verify.
func Cosigners(signed []byte, witnesses []note.Verifier) (names []string) {
	for _, w := range witnesses {
		if n, err := note.Open(signed, note.VerifierList(w)); err == nil && len(n.Sigs) > 0 {
			names = append(names, w.Name())
		}
	}
	return names
}
