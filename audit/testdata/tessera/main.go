// Tesseracheck has the transparency-dev project's own log client and fsck
// look at an export of a station's log (C2SP tlog-tiles):
//
//	tesseracheck VKEY-FILE DIR
//
// It checks every tile and entry, one inclusion proof for each hundredth
// entry, and one consistency proof, and exits 1 if anything is wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	// fsck does not end by itself when a tile is damaged.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := check(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Println("BAD:", err)
		os.Exit(1)
	}
	fmt.Println("good")
}

func check(ctx context.Context, vkeyFile, dir string) error {
	vkey, err := os.ReadFile(vkeyFile)
	if err != nil {
		return err
	}
	v, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return err
	}
	files := client.FileFetcher{Root: dir}
	cp, _, _, err := client.FetchCheckpoint(ctx, files.ReadCheckpoint, v, v.Name())
	if err != nil {
		return err
	}
	if err := fsck.New(v.Name(), v, files, leaves, fsck.Opts{N: 1}).Check(ctx); err != nil {
		return err
	}
	builder, err := client.NewProofBuilder(ctx, cp.Size, files.ReadTile)
	if err != nil {
		return err
	}
	hashes, err := client.FetchLeafHashes(ctx, files.ReadTile, 0, cp.Size, cp.Size)
	if err != nil {
		return err
	}
	for i := uint64(0); i < cp.Size; i += 100 {
		p, err := builder.InclusionProof(ctx, i)
		if err != nil {
			return err
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, i, cp.Size, hashes[i], p, cp.Hash); err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	if _, err = builder.ConsistencyProof(ctx, cp.Size/2, cp.Size); err != nil {
		return err
	}
	return ctx.Err()
}

// leaves hashes the entries of a bundle.
func leaves(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	out := make([][]byte, len(b.Entries))
	for i, e := range b.Entries {
		out[i] = rfc6962.DefaultHasher.HashLeaf(e)
	}
	return out, nil
}
