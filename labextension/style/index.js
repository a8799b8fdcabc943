import './base.css';
import './main.css';
import './charts.css';
import './jobView.css';
import './ledgerViewer.css';
import './compare.css';
import './submit.css';
import './badges.css';
