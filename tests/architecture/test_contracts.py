import grimp

from tests.architecture import contracts


def graph_of(*imports: tuple[str, str]) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    return graph


def doors() -> contracts.DoorsContract:
    return contracts.DoorsContract(
        name="doors",
        session_options={},
        contract_options={
            "apps": ["billing", "meters"],
            "doors": ["operations", "queries", "models", "domain"],
            "may_enter_anywhere": ["openvpp.urls"],
        },
    )


def homes() -> contracts.HomesContract:
    return contracts.HomesContract(
        name="homes",
        session_options={},
        contract_options={"libraries": ["web3"], "homes": ["contracts", "*.adapters"]},
    )


def test_only_doors_let_another_app_in() -> None:
    checked = doors().check(
        graph_of(
            ("billing.usecases.issue_bill", "meters.queries"),
            ("billing.usecases.issue_bill", "meters.usecases.ingest_readings"),
            ("billing.api.views", "billing.usecases.issue_bill"),
            ("openvpp.urls", "billing.api.urls"),
        ),
        verbose=False,
    )

    assert checked.metadata["wrong"] == ["billing.usecases.issue_bill imports meters.usecases.ingest_readings"]
    assert not checked.kept


def test_library_is_imported_at_home_only() -> None:
    checked = homes().check(
        graph_of(
            ("relayer.adapters.chain", "web3"),
            ("contracts.deploy", "web3"),
            ("relayer.usecases.send_bundle", "web3.contract"),
        ),
        verbose=False,
    )

    assert checked.metadata["wrong"] == ["relayer.usecases.send_bundle imports web3.contract"]
