"""The fields of a rate in the Utility Rate Database, by what becomes of each."""

INFORMATION = frozenset(
    {
        "approved",
        "basicinformationcomments",
        "country",
        "demandcomments",
        "demandunits",
        "description",
        "eiaid",
        "energycomments",
        "is_default",
        "peakkwcapacityhistory",
        "peakkwcapacitymax",
        "peakkwcapacitymin",
        "peakkwhusagehistory",
        "peakkwhusagemax",
        "peakkwhusagemin",
        "phasewiring",
        "revisions",
        "servicetype",
        "sourceparent",
        "supersedes",
        "uri",
        "version",
        "voltagecategory",
        "voltagemaximum",
        "voltageminimum",
    }
)
FREE_TEXT = frozenset({"demandattrs", "energyattrs", "fixedattrs"})
NOT_PRICED = frozenset({"demandratchetpercentage"})
PRICED = frozenset(
    {
        "annualmincharge",
        "coincidentrateunit",
        "coincidentratestructure",
        "coincidentschedule",
        "demandrateunit",
        "demandratestructure",
        "demandreactivepowercharge",
        "demandweekdayschedule",
        "demandweekendschedule",
        "demandwindow",
        "dgrules",
        "enddate",
        "energyratestructure",
        "energyweekdayschedule",
        "energyweekendschedule",
        "fixedchargeeaaddl",
        "fixedchargefirstmeter",
        "fixedchargeunits",
        "fixedmonthlycharge",
        "flatdemandmonths",
        "flatdemandstructure",
        "flatdemandunit",
        "fueladjustmentsmonthly",
        "label",
        "lookbackmonths",
        "lookbackpercent",
        "lookbackrange",
        "mincharge",
        "minchargeunits",
        "minmonthlycharge",
        "name",
        "sector",
        "source",
        "startdate",
        "utility",
        "usenetmetering",
    }
)
CHARGES = frozenset(
    {
        "annualmincharge",
        "demandreactivepowercharge",
        "fixedchargeeaaddl",
        "fixedchargefirstmeter",
        "fixedmonthlycharge",
        "fueladjustmentsmonthly",
        "mincharge",
        "minmonthlycharge",
    }
)
STRUCTURES = ("energyratestructure", "flatdemandstructure", "demandratestructure", "coincidentratestructure")
PRICES = frozenset({"rate", "adj", "sell"})
ENERGY_TIER = frozenset({"max", "rate", "unit", "adj", "sell"})
DEMAND_TIER = frozenset({"max", "rate", "unit", "adj"})
