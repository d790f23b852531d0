// Package ifpp has the files of in-factory profile provisioning (SGP.41): what
// the station reads and writes so that profiles are loaded with no network at
// all. Loading itself is a step (station/steps), the stock of packages the
// ledger (station/stock).
//
// # Files, in the order of SGP.41's steps
//
//	3, 4  linefit-euicc-data/1       eUICC maker -> factory      certificates and one-time keys of delivered eUICCs
//	5     linefit-binding-request/1  factory -> SM-DPf           which eUICCs need packages, and for which keys
//	7     linefit-batch/1            SM-DPf -> factory           packages, each for one eUICC and one key (station/stock)
//	13    linefit-loading-report/1   factory -> SM-DPf           what became of every package
//
// SGP.41 leaves the interface between manufacturer and station open, and the
// formats of SGP.42 are not public: these are linefit's own, JSON with a JSON
// Schema each ([Schemas]). Another format of batches is a
// stock.PackageFormat beside it.
//
// # Keys and packages
//
// A one-time key of an eUICC is for one package, a package for one try. A
// request therefore never names a key that any package of the stock was bound
// to, spent or not ([MakeRequest]); a batch with such a key is refused
// (stock.PackageRules); and a package that was tried is reported and replaced by
// one for the next key.
//
// # The loading report
//
// [MakeReport] has a row for every package that ever came in, also for those
// whose eUICC never answered:
//
//	installed  the eUICC signed that it installed the profile
//	failed     the eUICC signed that it did not
//	no_result  a load was begun and the eUICC has signed nothing; state is what was read back
//	unused     no load was begun: why says whether one may still come
//
// The eUICC's results are its own signed bytes (SGP.22 ProfileInstallationResult,
// BF37), checked when they were taken and again by whoever gets the report
// ([Check]). Nothing in a report is secret. The log's newest checkpoint stands
// beside, under which every row can be found again.
package ifpp
