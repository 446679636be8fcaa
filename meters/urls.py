from django import urls

from meters.api import comparison, downloads, imports, readings, tree, usage

urlpatterns = [
    urls.path("usage/", usage.Usage.as_view(), name="usage"),
    urls.path("usage/comparison/", comparison.Comparison.as_view(), name="usage-comparison"),
    urls.path("usage/tree/", tree.Tree.as_view(), name="usage-tree"),
    urls.path("usage/csv/", downloads.Csv.as_view(), name="usage-csv"),
    urls.path("usage/green-button/", downloads.GreenButton.as_view(), name="usage-green-button"),
    urls.path("meter-imports/", imports.ImportReadings.as_view(), name="meter-imports"),
    urls.path("meter-imports/<int:file_import_id>/", imports.FollowImport.as_view(), name="meter-import"),
    urls.path("meter-readings/", readings.TakeReadings.as_view(), name="meter-readings"),
    urls.path("meter-register-reads/", readings.TakeRegisterReads.as_view(), name="meter-register-reads"),
]
