from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    dependencies = [("customers", "0001_initial"), ("custody", "0001_initial")]
    operations = []
