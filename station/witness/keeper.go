package witness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/station"
)

// Options say which witnesses cosign a log.
type Options struct {
	Prove   Prove
	Clients []*Client
	Keep    string        // folder of the cosigned checkpoints; it must be there
	Every   time.Duration // between two pushes to a witness
	Logger  zerolog.Logger
}

// A Keeper has a running station's checkpoints cosigned.
type Keeper struct {
	opt Options

	mu     sync.Mutex
	states []station.Witness // by client
}

// NewKeeper returns a keeper that knows of each witness what was kept before. It
// pushes nothing until it runs.
func NewKeeper(opt Options) *Keeper {
	k := &Keeper{opt: opt}
	for _, c := range opt.Clients {
		w := station.Witness{Name: c.Key.Name()}
		if cp, at, err := k.kept(c); err == nil {
			w.Log, w.Size, w.At = cp.Origin, cp.Size, at.UTC().Format(time.RFC3339)
		}
		k.states = append(k.states, w)
	}
	return k
}

// Status is what each witness has cosigned last, and why it has no more.
func (k *Keeper) Status() []station.Witness {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]station.Witness(nil), k.states...)
}

// Run pushes at once and then every Every, to each witness by itself, until ctx is
// done.
func (k *Keeper) Run(ctx context.Context) error {
	if k == nil {
		return nil
	}
	var g errgroup.Group
	for i := range k.opt.Clients {
		g.Go(func() error {
			tick := time.NewTicker(k.opt.Every)
			defer tick.Stop()
			for {
				k.push(ctx, i)
				select {
				case <-tick.C:
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	return g.Wait()
}

// push has one witness cosign what is new.
func (k *Keeper) push(ctx context.Context, i int) {
	c := k.opt.Clients[i]
	head, err := k.opt.Prove(0)
	size := uint64(0)
	if cp, _, keptErr := k.kept(c); err == nil && keptErr == nil && cp.Origin == head.New.Origin {
		if size = cp.Size; size == head.New.Size && cp.Root == head.New.Root {
			k.done(i, cp.Origin, cp.Size, "")
			return
		}
	}
	if err == nil && head.New.Size == 0 {
		return // there is nothing to cosign yet
	}
	var signed Cosigned
	if err == nil {
		signed, err = c.Push(ctx, k.opt.Prove, size)
	}
	if err == nil {
		err = keep(k.file(c), signed.Note)
	}
	switch {
	case err == nil:
		k.done(i, signed.Origin, signed.Size, time.Now().UTC().Format(time.RFC3339))
	case ctx.Err() == nil:
		k.failed(i, err)
	}
}

// done notes that a witness has cosigned so much; at is when, "" where nothing was
// new.
func (k *Keeper) done(i int, log string, size uint64, at string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &k.states[i]
	if w.Tries > 0 {
		k.opt.Logger.Info().Str("witness", w.Name).Uint64("size", size).Msg("the witness cosigns again")
	}
	w.Log, w.Size, w.Tries, w.Error, w.Fork = log, size, 0, "", false
	if at != "" {
		w.At = at
	}
}

// failed notes that a witness has not cosigned.
func (k *Keeper) failed(i int, err error) {
	var fork *ForkError
	var finding *audit.FindingError
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &k.states[i]
	w.Tries++
	changed := w.Error != err.Error()
	w.Error = err.Error()
	w.Fork = errors.As(err, &fork) || errors.As(err, &finding) && finding.Code == audit.FindRollback
	switch {
	case !changed: // said already
	case w.Fork:
		k.opt.Logger.Error().Str("witness", w.Name).Err(err).Msg("the witness has seen another history of this log: somebody must find out why")
	default:
		k.opt.Logger.Warn().Str("witness", w.Name).Err(err).Msg("the log's checkpoints are not cosigned at the moment")
	}
}

// file is where a witness's newest cosigned checkpoint is kept.
func (k *Keeper) file(c *Client) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, c.Key.Name())
	return filepath.Join(k.opt.Keep, fmt.Sprintf("w_%s-%08x.checkpoint", name, c.Key.KeyHash()))
}

// kept is what the witness cosigned last, and when that was kept.
func (k *Keeper) kept(c *Client) (audit.Checkpoint, time.Time, error) {
	name := k.file(c)
	st, err := os.Stat(name)
	if err != nil {
		return audit.Checkpoint{}, time.Time{}, err
	}
	if st.Size() > maxKept {
		return audit.Checkpoint{}, time.Time{}, fmt.Errorf("%s has %d bytes", name, st.Size())
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return audit.Checkpoint{}, time.Time{}, err
	}
	cp, err := audit.ParseCheckpoint(b)
	return cp, st.ModTime(), err
}

// maxKept bounds a kept checkpoint, in bytes.
const maxKept = 64 << 10

// keep replaces a file, whole or not at all.
func keep(name string, data []byte) (err error) {
	// A hidden name: what a plug that was pulled leaves of it is no anchor.
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".")
	if err != nil {
		return fmt.Errorf("keep the cosigned checkpoint: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		err = fmt.Errorf("keep the cosigned checkpoint: %w", err)
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
