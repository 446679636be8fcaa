from django import urls

from wallets.api import closing, explain, grants, leaving, operations, recovery, sign_out, signatures, tickets, wallet

urlpatterns = [
    urls.path("me/sign-out-everywhere/", sign_out.SignOutEverywhere.as_view(), name="sign-out-everywhere"),
    urls.path("me/closing/", closing.Closing.as_view(), name="me-closing"),
    urls.path("notices/ticket/", tickets.MakeTicket.as_view(), name="notices-ticket"),
    urls.path("wallet/", wallet.ShowWallet.as_view(), name="wallet"),
    urls.path("wallet/balances/", wallet.ShowBalances.as_view(), name="wallet-balances"),
    urls.path("wallet/activity/", wallet.ListActivity.as_view(), name="wallet-activity"),
    urls.path("wallet/exit/", leaving.Exit.as_view(), name="wallet-exit"),
    urls.path("wallet/recovery/", recovery.Recovery.as_view(), name="wallet-recovery"),
    urls.path("wallet/recovery/proof/", recovery.Prove.as_view(), name="wallet-recovery-proof"),
    urls.path("wallet/recovery/cancel/", recovery.Cancel.as_view(), name="wallet-recovery-cancel"),
    urls.path("wallet/grants/", grants.ListGrants.as_view(), name="wallet-grants"),
    urls.path("wallet/grants/<uuid:grant_id>/", grants.Grant.as_view(), name="wallet-grant"),
    urls.path("policies/explain/", explain.ExplainPolicy.as_view(), name="policies-explain"),
    urls.path("operations/<uuid:operation_id>/", operations.ShowOperation.as_view(), name="operation"),
    urls.path(
        "operations/<uuid:operation_id>/signature/", signatures.SignOperation.as_view(), name="operation-signature"
    ),
]
