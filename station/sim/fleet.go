package sim

import (
	"fmt"
	"slices"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
)

// Fleet are the generations of eUICCs that a line's units have, in turn; SGP41
// among them.
type Fleet []euiccsim.Generation

// SGP41 are units of in-factory provisioning beside others: eUICCs of SGP.22 with
// one-time keys.
const SGP41 euiccsim.Generation = "sgp41"

// FleetOf is what a recipe accepts, as a fleet: its names of the generations are
// those of the virtual eUICC.
func FleetOf(accepts []string) Fleet {
	var f Fleet
	for _, name := range accepts {
		f = append(f, euiccsim.Generation(name))
	}
	return f
}

// of is the generation of the n-th unit.
func (f Fleet) of(n int) euiccsim.Generation {
	if len(f) == 0 {
		return euiccsim.SGP22
	}
	return f[n%len(f)]
}

// unit makes the n-th unit what the fleet says.
func (f Fleet) unit(n int, u *UnitState, factory bool) {
	u.Generation = f.of(n)
	u.Prepared = factory && (u.Generation == SGP41 || !slices.Contains(f, SGP41))
	if u.Generation == SGP41 {
		u.Generation = euiccsim.SGP22
	}
}

// generation makes a card what its unit has. An M2M eUICC comes with a bootstrap
// profile from its maker; of the IoT eUICCs every second one has ES10c beside
// ImmediateEnable.
func (w *World) generation(st UnitState, opt *euiccsim.Options) error {
	opt.Generation = st.Generation
	switch st.Generation {
	case euiccsim.SGP32:
		opt.FirstToken = int64(hash(w.opt.Seed, st.EID, "token")%9_000_000_000) + 1_000_000_000
		opt.ES10cOnIoT = hash(w.opt.Seed, st.EID, "es10c")%2 == 0
	case euiccsim.SGP02:
		pkg, err := bootstrap(st.EID)
		if err != nil {
			return err
		}
		opt.Preloaded = []euiccsim.Preloaded{{Package: pkg, Class: 1}}
	}
	return nil
}

// bootstrap is the profile with which an M2M eUICC is delivered.
func bootstrap(eid ident.EID) ([]byte, error) {
	n := hash(0, "bootstrap", eid) % 1_000_000_000
	iccid, err := iccidWithCheck(fmt.Sprintf("898800%012d", n))
	if err != nil {
		return nil, err
	}
	imsi, err := ident.ParseIMSI(fmt.Sprintf("001019%09d", n))
	if err != nil {
		return nil, err
	}
	pkg, err := smdpsim.GenericProfile(iccid, imsi, "bootstrap", 1)
	if err != nil {
		return nil, fmt.Errorf("bootstrap profile: %w", err)
	}
	return pkg, nil
}
